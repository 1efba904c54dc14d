package fakeserver_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/matryer/is"

	"github.com/muster-agent/muster/fakeserver"
)

func TestRelayTakesStatusFrames(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	conn := c.connect(relayQuery(c.enroll(nil).member("key"), nil))
	write(t, conn, frame(nil))
	write(t, conn, frame(set("certificate", map[string]any{"status": "not_configured", "not_after": nil})))
	c.await(func() bool { return c.session(uid1).Frames == 2 })
	x := c.session(uid1)
	is.Equal(x.AgentID, agentID)
	is.Equal(x.Auth, "query")
	is.Equal(x.LastStatus.UptimeSeconds, int64(61))
	is.Equal(x.LastStatus.Certificate.Status, "not_configured")
	is.True(x.LastStatus.Certificate.NotAfter == nil) // null
	is.True(c.machine(uid1).Connected)
}

func TestRelayAuthorizationHeader(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	key := c.enroll(nil).member("key")
	bearer := http.Header{"Authorization": {"Bearer " + key}}
	_, _, err := c.dial(relayQuery("", nil), bearer)
	is.NoErr(err)
	c.await(func() bool { return c.session(uid1) != nil })
	is.Equal(c.session(uid1).Auth, "header")

	is.Equal(c.refused(relayQuery(key, nil), bearer).status, 400) // both
	is.Equal(c.refused(relayQuery("", nil), http.Header{"Authorization": {"Basic eA=="}}).status, 400)
}

func TestRelayHandshakeIsStrict(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{})
	key := c.enroll(nil).member("key")
	for name, change := range map[string]func(url.Values){
		"no agent_id":      func(q url.Values) { q.Del("agent_id") },
		"agent_id no UUID": func(q url.Values) { q.Set("agent_id", "1") },
		"no machine_uid":   func(q url.Values) { q.Del("machine_uid") },
		"bad machine_uid":  func(q url.Values) { q.Set("machine_uid", "muid_1") },
		"no hostname":      func(q url.Values) { q.Del("hostname") },
		"empty hostname":   func(q url.Values) { q.Set("hostname", "") },
		"no key":           func(q url.Values) { q.Del("api_key") },
		"two keys":         func(q url.Values) { q.Add("api_key", "cak_x") },
	} {
		t.Run(name, func(t *testing.T) {
			answers(t, c.refused(relayQuery(key, change), nil), 400, "refused")
		})
	}
	t.Run("no upgrade", func(t *testing.T) {
		is.New(t).Equal(c.do("GET", "/ws/agent?"+relayQuery(key, nil).Encode(), "").status, 426)
	})
}

// TestStrictFrames has every mistake of form; here are the values that the relay
// refuses.
func TestRelayClosesOnInvalidFrames(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{})
	key := c.enroll(nil).member("key")
	certificate := func(status, notAfter any) func(map[string]any) {
		return set("certificate", map[string]any{"status": status, "not_after": notAfter})
	}
	for name, text := range map[string]string{
		"other type":          frame(set("type", "status")),
		"other machine":       frame(set("machine_uid", uid2)),
		"empty hostname":      frame(set("hostname", "")),
		"uptime in fractions": frame(set("uptime_seconds", 1.5)),
		"negative uptime":     frame(set("uptime_seconds", -1)),
		"unknown status":      frame(certificate("fine", nil)),
		"date not RFC 3339":   frame(certificate("expired", "tomorrow")),
		"empty date":          frame(certificate("missing", "")),
		"valid without date":  frame(certificate("valid", nil)),
	} {
		t.Run(name, func(t *testing.T) {
			conn := c.connect(relayQuery(key, nil))
			write(t, conn, text)
			is.New(t).Equal(closeCode(t, conn), websocket.StatusPolicyViolation)
		})
	}
	t.Run("binary", func(t *testing.T) {
		is := is.New(t)
		conn := c.connect(relayQuery(key, nil))
		is.NoErr(conn.Write(t.Context(), websocket.MessageBinary, []byte(frame(nil))))
		is.Equal(closeCode(t, conn), websocket.StatusPolicyViolation)
	})
	t.Run("over 64 KiB", func(t *testing.T) {
		is := is.New(t)
		conn := c.connect(relayQuery(key, nil))
		// The relay may hang up before all of it is written.
		_ = conn.Write(t.Context(), websocket.MessageText, []byte(strings.Repeat(" ", 64<<10)+frame(nil)))
		closeCode(t, conn)
		c.await(func() bool { return c.session(uid1) == nil })
		is.Equal(len(c.s.State().Relay), 0)
	})
}

func TestRelayKeepsOneConnectionPerMachine(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	query := relayQuery(c.enroll(nil).member("key"), nil)
	older := c.connect(query)
	newer, _, err := c.dial(query, nil)
	is.NoErr(err)
	is.Equal(int(closeCode(t, older)), 4000)
	write(t, newer, frame(nil))
	c.await(func() bool { x := c.session(uid1); return x != nil && x.Frames == 1 })
	is.Equal(len(c.s.State().Relay), 1)
	is.Equal(c.s.State().RelayConnections, 2)
}

func TestRelaySendAndClose(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	path := "/_fake/relay/" + uid1
	is.Equal(c.do("POST", path+"/send", "{}").status, 404)
	is.Equal(c.do("POST", path+"/close", "").status, 404)

	conn := c.connect(relayQuery(c.enroll(nil).member("key"), nil))
	is.Equal(c.do("POST", path+"/send", `{"type":"reenroll"}`).status, 204)
	kind, data, err := conn.Read(t.Context())
	is.NoErr(err)
	is.Equal(kind, websocket.MessageText)
	is.Equal(string(data), `{"type":"reenroll"}`)

	is.Equal(c.do("POST", path+"/close", "").status, 204)
	is.Equal(int(closeCode(t, conn)), -1) // no close frame
	c.await(func() bool { return c.session(uid1) == nil })
}

func TestRelayPings(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	conn := c.connect(relayQuery(c.enroll(nil).member("key"), nil))
	ctx := conn.CloseRead(t.Context())
	is.NoErr(conn.Ping(ctx))
	is.Equal(c.session(uid1).Pings, 1)

	c.s.MutePongs.Store(true)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	is.True(conn.Ping(short) != nil) // no pong comes
}

func TestRelayLegacyKey(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{LegacyKey: "shared-secret"})
	c.connect(relayQuery("shared-secret", nil))
	is.Equal(len(c.s.State().Machines), 0)
	answers(t, c.refused(relayQuery("shared-secre", nil), nil), 401, "relay-unknown-agent")
}

func TestCloseSaysGoingAway(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	key := c.enroll(nil).member("key")
	conn := c.connect(relayQuery(key, nil))
	address := strings.TrimPrefix(c.s.URL(), "https://")
	closed := make(chan struct{})
	go func() { defer close(closed); c.s.Close() }()
	is.Equal(closeCode(t, conn), websocket.StatusGoingAway)
	<-closed
	is.Equal(c.s.URL(), "")
	_, err := c.http.Get("https://" + address + "/_fake/state")
	is.True(err != nil) // nobody listens any more

	is.NoErr(c.s.Start(t.Context(), address)) // back, with what it knew
	c.connect(relayQuery(key, nil))
}
