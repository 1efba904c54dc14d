package managerapi

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/muster-agent/muster/ports"
)

// interpreter reads answers; it makes no request.
var interpreter = New(&url.URL{Scheme: "https", Host: "host"}, nil, nil, "", nil)

// The usual answers lie in testdata. Reasons quote a status only where it is a
// word.
func TestDecisions(t *testing.T) {
	t.Parallel()
	const quoted, other = "the decision of host has the unknown status ", "the decision of host has an unknown status"
	for _, tt := range []struct {
		body     string
		decision ports.IssueDecision // of a poll
		renewal  ports.IssueDecision // nil: it cannot be read
	}{
		{body: ` {"status":"pending","since":[1],"ca_crt":"x"}` + "\r\n", decision: ports.IssuePending{}},
		{body: `{"status":"denied","ca_crt":"CA","server_crt":"leaf"}`, decision: ports.IssueDenied{}, renewal: ports.Issued{}},
		{body: `{"status":"approved","ca_crt":"CA","server_crt":"leaf","server_key":7}`, decision: ports.Issued{}, renewal: ports.Issued{}},
		{body: `{"status":"approved","ca_crt":"CA","server_crt":"","server_key":"key"}`},
		{body: `{"status":"approved","ca_crt":" ","server_crt":"leaf"}`},
		{body: `{"status":"approved","ca_crt":["CA"],"server_crt":"leaf"}`},
		{body: `{"status":"approved","ca_crt":"CA","server_crt":7}`},
		{body: `{"status":"approved","CA_CRT":"CA","server_crt":"leaf"}`},
		{body: `{"status":"approved"}`},
		{body: `{"status":"revoked"}`, decision: ports.IssueUnreadable{Reason: quoted + "revoked"}},
		{body: `{"status":"` + strings.Repeat("a", 16) + `"}`, decision: ports.IssueUnreadable{Reason: quoted + strings.Repeat("a", 16)}},
		{body: `{"status":"` + strings.Repeat("a", 17) + `"}`, decision: ports.IssueUnreadable{Reason: other}},
		{body: `{"status":"a\u0000b"}`, decision: ports.IssueUnreadable{Reason: other}},
		{body: `{"status":7}`},
		{body: `{"Status":"pending"}`},
		{body: `{}`},
		{body: `null`},
		{body: `["pending"]`},
		{body: `{"status":"pending"`},
		{body: `{"status":"pending"} {}`},
		{body: `<html>pending</html>`},
	} {
		check := func(renewal bool, want ports.IssueDecision) {
			got := interpreter.Interpret(ports.Received{Raw: ports.NewSecret(tt.body), Renewal: renewal})
			if want == nil {
				want = ports.IssueUnreadable{}
			}
			if reflect.TypeOf(got) != reflect.TypeOf(want) {
				t.Errorf("%s, renewal %v: got %T, want %T", tt.body, renewal, got, want)
			}
			if u, ok := want.(ports.IssueUnreadable); ok && u.Reason != "" && got != want {
				t.Errorf("%s: got %q, want %q", tt.body, got, u.Reason)
			}
		}
		check(false, tt.decision)
		check(true, tt.renewal)
	}
}

func FuzzInterpret(f *testing.F) {
	f.Add([]byte(bundleBody))
	f.Add([]byte(`{"status":"pending"}`))
	f.Add([]byte(`{"status":"denied","status":"approved"}`))
	f.Add([]byte(`{"status":"not_found"}`))
	f.Add([]byte(`{"status":"` + pollingToken + `"}`))
	f.Add([]byte("{\"status\":\"a\\ud800\xff\"}"))
	f.Add([]byte(`{"status":"approved","ca_crt":{},"server_crt":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, renewal := range []bool{false, true} {
			switch d := interpreter.Interpret(ports.Received{Raw: ports.NewSecret(string(body)), Renewal: renewal}).(type) {
			case ports.Issued:
				if len(d.Bundle.CA) == 0 || len(d.Bundle.Cert) == 0 {
					t.Error("issued without a certificate")
				}
			case ports.IssuePending, ports.IssueDenied, ports.IssueUnknown:
				if renewal {
					t.Errorf("a renewal that says %T", d)
				}
			case ports.IssueUnreadable:
				if d.Reason == "" || utf8.RuneCountInString(d.Reason) > 200 || strings.ContainsFunc(d.Reason, unicode.IsControl) || !utf8.ValidString(d.Reason) {
					t.Errorf("not fit for a log: %q", d.Reason)
				}
			default:
				t.Fatalf("no decision: %T", d)
			}
		}
	})
}
