package fakeserver_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/fakeserver"
)

func TestFaultAnswersInPlaceOfTheServer(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	c.fault(`{"match":{"method":"POST","path":"/api/enroll"},"times":2,
		"action":{"status":503,"headers":{"Retry-After":"2"},"body":"busy"}}`)
	for range 2 {
		r := c.enroll(nil)
		is.Equal(r.status, 503)
		is.Equal(r.header.Get("Retry-After"), "2")
		is.Equal(r.body, "busy")
	}
	is.Equal(len(c.s.State().Machines), 0) // nothing was done
	is.Equal(c.enroll(nil).status, 201)    // used up
	is.Equal(c.s.State().Faults[0].Used, 2)
}

func TestFaultForEver(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	c.fault(`{"match":{},"action":{"status":302,"headers":{"Location":"https://127.0.0.1:1/"}}}`)
	for range 5 {
		is.Equal(c.enroll(nil).status, 302)
	}
	is.Equal(c.do("DELETE", "/_fake/faults", "").status, 204)
	is.Equal(c.enroll(nil).status, 201)
}

func TestFaultsInThePlaceOfOthers(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	c.fault(`{"match":{},"action":{"status":500}}`)
	put := func(body string) int { return c.do("PUT", "/_fake/faults", body).status }
	for _, wrong := range []string{``, `{}`, `null`, `[{}]`, `[{"match":{},"action":{"status":418}},{"match":{},"action":{"status":99}}]`} {
		is.Equal(put(wrong), 400)
		is.Equal(c.enroll(nil).status, 500) // as it was
	}
	is.Equal(put(`[{"match":{},"times":1,"action":{"status":418}},{"match":{},"times":1,"action":{"status":503}}]`), 204)
	is.Equal(c.enroll(nil).status, 418)
	is.Equal(c.enroll(nil).status, 503)
	is.Equal(put(`[]`), 204)
	is.Equal(c.enroll(nil).status, 201)
}

func TestFaultMatching(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	c.fault(`{"match":{"path":"/api/v1/enroll/status/"},"action":{"status":500}}`)
	c.fault(`{"match":{"method":"GET","path":"/api/enroll"},"action":{"status":418}}`)
	is.Equal(c.do("GET", "/api/v1/enroll/status/abc", "").status, 500) // below
	is.Equal(c.do("GET", "/api/v1/pki/crl.pem", "").status, 200)
	is.Equal(c.do("GET", "/api/enroll", "").status, 418)
	is.Equal(c.do("GET", "/api/enroll/x", "").status, 404) // itself alone
	is.Equal(c.enroll(nil).status, 201)                    // another method
}

func TestFaultChangesTheRealAnswer(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	const long = "Thu, 01 Jan 2099 00:00:00 GMT"
	c.fault(`{"match":{"path":"/api/enroll"},"times":1,"action":{"headers":{"Date":"` + long + `"}}}`)
	r := c.enroll(nil)
	is.Equal(r.status, 201)
	is.Equal(r.header.Get("Date"), long)

	c.fault(`{"match":{"path":"/api/enroll"},"times":1,"action":{"body":"{\"key\":\"other\"}"}}`)
	r = c.enroll(nil)
	is.Equal(r.status, 200)
	is.Equal(r.body, `{"key":"other"}`)

	c.fault(`{"match":{"path":"/api/enroll"},"times":1,"action":{"corrupt":true}}`)
	r = c.enroll(nil)
	is.Equal(r.status, 200)
	is.Equal(r.member("key"), "") // no JSON any more
	is.Equal(c.machine(uid1).Enrollments, 3)
}

func TestFaultDelay(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	c.fault(`{"match":{"path":"/api/enroll"},"times":1,"action":{"delay":"150ms"}}`)
	began := time.Now()
	is.Equal(c.enroll(nil).status, 201)
	is.True(time.Since(began) >= 150*time.Millisecond)
}

func TestFaultDelayEndsWithTheServer(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	c.fault(`{"match":{"path":"/api/enroll"},"action":{"delay":"1h"}}`)
	failed := make(chan error, 1)
	go func() {
		_, err := c.try("POST", "/api/enroll", enrollBody(nil))
		failed <- err
	}()
	c.await(func() bool { return len(c.s.Requests()) == 1 })
	began := time.Now()
	c.s.Close()
	is.True(time.Since(began) < timeout) // not for the delay
	is.True(<-failed != nil)             // the request was cut
}

func TestFaultDrops(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		drop    string
		status  int // of the answer's header, if one arrives
		commits bool
	}{
		{"before_response", 0, false},
		{"mid_body", 201, true},
		{"after_commit", 0, true},
	} {
		t.Run(test.drop, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			c := start(t, &fakeserver.Server{})
			c.fault(`{"match":{"path":"/api/enroll"},"times":1,"action":{"drop":"` + test.drop + `"}}`)
			r, err := c.try("POST", "/api/enroll", enrollBody(nil))
			is.True(err != nil) // no whole answer
			is.Equal(r.status, test.status)
			is.Equal(c.machine(uid1) != nil, test.commits)
			entry := c.s.Requests()[0]
			is.True(entry.Dropped && entry.Fault)
			is.Equal(entry.Status, test.status)

			again := map[bool]int{true: 200, false: 201}
			is.Equal(c.enroll(nil).status, again[test.commits])
		})
	}
	t.Run("mid_body with a status", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		c := start(t, &fakeserver.Server{})
		c.fault(`{"match":{},"times":1,"action":{"status":500,"body":"12345678","drop":"mid_body"}}`)
		r, err := c.try("POST", "/api/enroll", enrollBody(nil))
		is.Equal(err, io.ErrUnexpectedEOF)
		is.Equal(r.status, 500)
		is.Equal(r.body, "1234")
	})
}

func TestFaultsOfTheRelay(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	query := relayQuery(c.enroll(nil).member("key"), nil)
	refused := func(action string) reply {
		t.Helper()
		// Not once: Go's transport repeats a GET that a kept connection lost.
		c.fault(`{"match":{"path":"/ws/agent"},"action":` + action + `}`)
		r := c.refused(query, nil)
		c.s.ClearFaults()
		return r
	}
	r := refused(`{"status":401,"body":"{\"code\":\"UNKNOWN_AGENT\"}"}`)
	is.Equal(r.status, 401)
	is.Equal(r.member("code"), "UNKNOWN_AGENT")
	is.Equal(refused(`{"drop":"before_response"}`).status, 0)
	is.Equal(refused(`{"drop":"after_commit"}`).status, 0)

	c.fault(`{"match":{"path":"/ws/agent"},"times":1,"action":{"corrupt":true}}`)
	raw, err := http.NewRequestWithContext(t.Context(), "GET", c.s.URL()+"/ws/agent?"+query.Encode(), nil)
	is.NoErr(err)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		raw.Header.Set(name, value)
	}
	answer, err := c.http.Do(raw)
	is.NoErr(err)
	is.Equal(answer.StatusCode, 101)
	is.Equal(answer.Header.Get("Sec-WebSocket-Accept"), "corrupt")
	is.NoErr(answer.Body.Close())
	c.await(func() bool { return len(c.s.State().Relay) == 0 })

	c.fault(`{"match":{"path":"/ws/agent"},"times":1,"action":{"headers":{"Date":"Thu, 01 Jan 2099 00:00:00 GMT"}}}`)
	_, r, err = c.dial(query, nil)
	is.NoErr(err)
	is.Equal(r.header.Get("Date"), "Thu, 01 Jan 2099 00:00:00 GMT")

	c.fault(`{"match":{"path":"/ws/agent"},"times":1,"action":{"drop":"mid_body"}}`)
	conn, r, err := c.dial(query, nil)
	is.NoErr(err) // accepted, and cut at once
	is.Equal(r.status, 101)
	is.Equal(int(closeCode(t, conn)), -1)
}

func TestFaultHandler(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	is.NoErr(c.s.AddFault(fakeserver.Fault{Action: fakeserver.FaultAction{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(201)
			for r.Context().Err() == nil { // a body that never ends
				_, _ = io.WriteString(w, strings.Repeat(" ", 1<<16))
				_ = http.NewResponseController(w).Flush()
			}
		}),
	}}))
	answer, err := c.http.Post(c.s.URL()+"/api/enroll", "application/json", strings.NewReader(enrollBody(nil)))
	is.NoErr(err)
	_, err = io.ReadFull(answer.Body, make([]byte, 10<<20))
	is.NoErr(err)
	is.NoErr(answer.Body.Close())
	is.Equal(c.s.Requests()[0].Status, 201)
}

func TestFaultsAreStrict(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{})
	for name, body := range map[string]string{
		"no JSON":              `status=503`,
		"no match":             `{"action":{"status":503}}`,
		"no action":            `{"match":{}}`,
		"empty action":         `{"match":{},"action":{}}`,
		"unknown member":       `{"match":{},"action":{"status":503},"time":1}`,
		"unknown in match":     `{"match":{"host":"x"},"action":{"status":503}}`,
		"unknown in action":    `{"match":{},"action":{"status":503,"latency":"1s"}}`,
		"times a string":       `{"match":{},"times":"3","action":{"status":503}}`,
		"negative times":       `{"match":{},"times":-1,"action":{"status":503}}`,
		"status 101":           `{"match":{},"action":{"status":101}}`,
		"status 600":           `{"match":{},"action":{"status":600}}`,
		"delay a number":       `{"match":{},"action":{"delay":1}}`,
		"delay without unit":   `{"match":{},"action":{"delay":"1"}}`,
		"unknown drop":         `{"match":{},"action":{"drop":"never"}}`,
		"corrupt a string":     `{"match":{},"action":{"corrupt":"true"}}`,
		"header a number":      `{"match":{},"action":{"headers":{"Retry-After":2}}}`,
		"status and commit":    `{"match":{},"action":{"status":500,"drop":"after_commit"}}`,
		"method in lower case": `{"match":{"method":"post"},"action":{"status":503}}`,
		"relative path":        `{"match":{"path":"api"},"action":{"status":503}}`,
		"the controls":         `{"match":{"path":"/_fake/state"},"action":{"status":503}}`,
	} {
		t.Run(name, func(t *testing.T) {
			answers(t, c.do("POST", "/_fake/faults", body), 400, "refused")
			is.New(t).Equal(len(c.s.State().Faults), 0)
		})
	}
}
