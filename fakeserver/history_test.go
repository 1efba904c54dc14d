package fakeserver_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/fakeserver"
)

// TestNothingShownHoldsASecret looks for any eight characters of a secret in
// all that the fake shows of itself.
func TestNothingShownHoldsASecret(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{LegacyKey: "legacy-CANARY-key"})
	secrets := []string{testKey, "legacy-CANARY-key"}

	secrets = append(secrets, c.enroll(nil).member("key"))
	key := c.enroll(nil).member("key")
	secrets = append(secrets, key)
	conn := c.connect(relayQuery(key, nil))
	write(t, conn, frame(set("hostname", key)))
	c.await(func() bool { return c.session(uid1).Frames == 1 })
	c.connect(relayQuery("legacy-CANARY-key", func(q url.Values) { q.Set("machine_uid", uid2) }))

	// Secrets where they do not belong.
	c.enroll(set("hostname", testKey))
	c.enroll(set("labels", map[string]any{"company": key, "site": "a " + key, "department": "", "device_type": "", "tags": []string{testKey}}))
	c.do("POST", "/api/enroll", `{"enrollment_key":"`+testKey+`"`) // cut short
	c.do("POST", "/api/enroll", `{"`+testKey+`":1}`)
	c.do("POST", "/api/enroll", `{"enrollment_key":["without-PREFIX-0123"]}`)
	secrets = append(secrets, "without-PREFIX-0123")
	c.do("POST", "/api/enroll", testKey, "User-Agent", key)
	c.do("GET", "/somewhere/"+key+"/"+testKey, "")
	c.do("GET", "/ws/agent?api_key="+key+"&x="+testKey, "")
	c.do("GET", "/ws/agent?api_key="+key+";x", "")
	c.fault(`{"match":{"path":"/x/` + key + `"},"action":{"headers":{"X":"` + key + `"},"body":"` + key + `"}}`)

	token := c.register(nil).member("polling_token")
	secrets = append(secrets, token, "another-managers-TOKEN")
	c.do("GET", "/api/v1/enroll/status/another-managers-TOKEN", "")
	c.do("GET", "/prefix//api/v1/enroll/status/another-managers-TOKEN/", "")
	bundle := c.do("GET", "/api/v1/enroll/status/"+token, "")
	privateKey := bundle.member("server_key")
	is.True(privateKey != "") // or the search shows nothing
	secrets = append(secrets, strings.Split(privateKey, "\n")[1])
	c.do("POST", "/api/enroll", asJSON(map[string]string{"hostname": privateKey}))

	shown := c.do("GET", "/_fake/state", "").body + c.do("GET", "/_fake/requests", "").body +
		c.do("GET", "/api/v1/admin/enrollments", "").body
	for _, secret := range secrets {
		secret = strings.TrimLeft(secret, "cake_p")
		for i := 0; i+8 <= len(secret); i++ {
			if strings.Contains(shown, secret[i:i+8]) {
				t.Fatalf("secret %d is shown from character %d on", len(secret), i)
			}
		}
	}
	is.True(strings.Contains(shown, "REDACTED")) // the secrets were there
}

func TestRequestsTellWhatCame(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	key := c.enroll(nil).member("key")
	c.do("GET", "/api/v1/enroll/status/abc", "")
	c.connect(relayQuery(key, nil))
	c.do("GET", "/nowhere", "")

	var got []fakeserver.Request
	is.NoErr(json.Unmarshal([]byte(c.do("GET", "/_fake/requests", "").body), &got))
	is.Equal(len(got), 4)
	is.Equal(got[0].Method, "POST")
	is.Equal(got[0].Path, "/api/enroll")
	is.Equal(got[0].Status, 201)
	is.Equal(got[0].Connection, 1)
	is.True(!got[0].Time.IsZero())
	var body map[string]any
	is.NoErr(json.Unmarshal(got[0].Body, &body))
	is.Equal(body["hostname"], "desk-17")
	is.Equal(body["enrollment_key"], "REDACTED")
	is.Equal(got[1].Path, "/api/v1/enroll/status/{token}")
	is.Equal(got[2].Path, "/ws/agent")
	is.Equal(got[2].Status, 101) // while it is open
	query, err := url.ParseQuery(got[2].Query)
	is.NoErr(err)
	is.Equal(query.Get("machine_uid"), uid1)
	is.Equal(query.Get("api_key"), "REDACTED")
	is.Equal(got[3].Status, 404)
	// One kept, one that became the relay's; net/http keeps none where its own
	// goroutines get no processor for 50 ms.
	is.True(c.s.State().Connections >= 2)
}
