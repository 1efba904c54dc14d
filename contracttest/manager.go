package contracttest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// ManagerScript is how a manager behaves towards every request. Reasons and
// details are the words that it sends along, as far as it sends any.
type ManagerScript struct {
	Register ports.RegisterAnswer
	Poll     ports.PollAnswer
	Renew    ports.RenewAnswer
	CRL      ports.CRLAnswer
	// Hang: the manager takes the request and never answers.
	Hang bool
}

// ManagerRequest is one that reached the manager. What its kind does not have
// is empty.
type ManagerRequest struct {
	Kind     string // register, poll, renew, crl
	Register ports.RegisterRequest
	Token    ports.Secret
	CSR      []byte
}

// ScriptedManager is a manager that follows a script, and an enroller that
// asks it.
type ScriptedManager struct {
	Enroller ports.ManagerEnroller
	// Requests are those that reached the manager, oldest first.
	Requests func() []ManagerRequest
}

// The secrets of the suite. A part of them in a text for people is a failure.
const (
	managerToken = "tok/en +%2F?#.contract-7Hq2Zr"
	managerKey   = "-----BEGIN PRIVATE KEY-----\nMIGcontractcontract9Bq\n-----END PRIVATE KEY-----\n"
)

// ManagerEnroller is the suite of ports.ManagerEnroller. Each fresh is a
// manager of its own.
func ManagerEnroller(t *testing.T, fresh func(*testing.T, ManagerScript) ScriptedManager) {
	names(t, "ManagerEnroller")
	date := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	token := ports.NewSecret(managerToken)
	request := ports.RegisterRequest{
		MachineID: strings.Repeat("0123456789abcdef", 2), FQDN: "web-3.example.org", IPAddress: "2001:db8::7",
		OS: ports.OSDetails{
			Distro: `Debian "GNU"/<Linux> ü`, Name: "debian", Version: "12", Codename: "bookworm", IDLike: "a b", Kernel: "6.1.0-18-amd64",
		},
		Hostname: "web-3", CSR: []byte("-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"),
		IdempotencyKey: "6b0f4a3e-8b1c-4d59-9a4e-0c1d2e3f4a5b",
	}

	for name, script := range map[string]ports.RegisterAnswer{
		"registered":       {Outcome: ports.Registered{Token: token}, ServerTime: date, RetryAfter: "5"},
		"host exists":      {Outcome: ports.HostExists{Detail: "remove it first"}, ServerTime: date},
		"exists, silently": {Outcome: ports.HostExists{}, ServerTime: date},
		"rate limited":     {Outcome: ports.RegisterRateLimited{}, ServerTime: date, RetryAfter: "Tue, 06 May 2031 07:10:09 GMT"},
		"unavailable":      {Outcome: ports.RegisterTransient{}, ServerTime: date, RetryAfter: "7"},
		"unexpected":       {Outcome: ports.RegisterUnexpected{Status: 418, Detail: "no coffee"}, ServerTime: date},
	} {
		t.Run("register: "+name, func(t *testing.T) {
			is := is.New(t)
			manager := fresh(t, ManagerScript{Register: script})
			got := manager.Enroller.Register(t.Context(), request)
			is.True(got.ServerTime.Equal(date))
			is.Equal(got.RetryAfter, script.RetryAfter)
			switch want := script.Outcome.(type) {
			case ports.Registered:
				is.True(got.Outcome.(ports.Registered).Token.Equal(want.Token))
			case ports.RegisterTransient:
				is.True(got.Outcome.(ports.RegisterTransient).Reason != "")
			default:
				is.Equal(got.Outcome, want)
			}
			managerWords(t, got.Outcome)
			is.Equal(manager.Requests(), []ManagerRequest{{Kind: "register", Register: request}})
		})
	}
	t.Run("register: without what may be empty", func(t *testing.T) {
		is := is.New(t)
		manager := fresh(t, ManagerScript{Register: ports.RegisterAnswer{Outcome: ports.RegisterRateLimited{}}})
		bare := ports.RegisterRequest{MachineID: request.MachineID, FQDN: "web-3", IPAddress: "192.0.2.7", Hostname: "web-3"}
		manager.Enroller.Register(t.Context(), bare)
		got := manager.Requests()[0].Register
		is.Equal(len(got.CSR), 0)
		got.CSR = nil
		is.Equal(got, bare)
	})

	for name, script := range map[string]ports.PollAnswer{
		"answered":    {Outcome: ports.PollAnswered{Body: ports.NewSecret("{\"status\":\"pending\"}\r\n  \x00\xff")}, ServerTime: date},
		"gone":        {Outcome: ports.PollGone{}, ServerTime: date},
		"unavailable": {Outcome: ports.PollTransient{}, ServerTime: date, RetryAfter: "7"},
		"unexpected":  {Outcome: ports.PollUnexpected{Status: 418, Detail: "no coffee"}, ServerTime: date},
	} {
		t.Run("poll: "+name, func(t *testing.T) {
			is := is.New(t)
			manager := fresh(t, ManagerScript{Poll: script})
			got := manager.Enroller.Poll(t.Context(), token)
			is.True(got.ServerTime.Equal(date))
			is.Equal(got.RetryAfter, script.RetryAfter)
			switch want := script.Outcome.(type) {
			case ports.PollAnswered:
				is.True(got.Outcome.(ports.PollAnswered).Body.Equal(want.Body)) // byte for byte
			case ports.PollTransient:
				is.True(got.Outcome.(ports.PollTransient).Reason != "")
			default:
				is.Equal(got.Outcome, want)
			}
			managerWords(t, got.Outcome)
			requests := manager.Requests()
			is.Equal(len(requests), 1)
			is.Equal(requests[0].Kind, "poll")
			is.True(requests[0].Token.Equal(token))
		})
	}

	t.Run("interpret", func(t *testing.T) {
		enroller := fresh(t, ManagerScript{}).Enroller
		for _, tt := range managerDecisions {
			got := enroller.Interpret(ports.NewSecret(tt.body))
			if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", tt.want) {
				t.Errorf("%s: got %T, want %T", tt.body, got, tt.want)
				continue
			}
			managerWords(t, got)
			if want, ok := tt.want.(ports.DecisionApproved); ok {
				sameBundle(t, got.(ports.DecisionApproved).Bundle, want.Bundle)
			}
		}
	})

	bundle := ports.Bundle{CA: []byte("a\r\nca"), Cert: []byte("a leaf"), Chain: []byte("a chain"), CRL: []byte("a list")}
	for name, script := range map[string]ports.RenewAnswer{
		"renewed":                  {Outcome: ports.Renewed{Bundle: bundle}, ServerTime: date},
		"renewed, the least":       {Outcome: ports.Renewed{Bundle: ports.Bundle{CA: bundle.CA, Cert: bundle.Cert}}, ServerTime: date},
		"not offered":              {Outcome: ports.RenewNotOffered{Status: 404}, ServerTime: date},
		"not offered, for another": {Outcome: ports.RenewNotOffered{Status: 409}, ServerTime: date},
		"unavailable":              {Outcome: ports.RenewTransient{}, ServerTime: date, RetryAfter: "7"},
	} {
		t.Run("renew: "+name, func(t *testing.T) {
			is := is.New(t)
			manager := fresh(t, ManagerScript{Renew: script})
			got := manager.Enroller.Renew(t.Context(), request.CSR)
			is.True(got.ServerTime.Equal(date))
			is.Equal(got.RetryAfter, script.RetryAfter)
			switch want := script.Outcome.(type) {
			case ports.Renewed:
				sameBundle(t, got.Outcome.(ports.Renewed).Bundle, want.Bundle)
			case ports.RenewTransient:
				is.True(got.Outcome.(ports.RenewTransient).Reason != "")
			default:
				is.Equal(got.Outcome, want)
			}
			managerWords(t, got.Outcome)
			is.Equal(manager.Requests(), []ManagerRequest{{Kind: "renew", CSR: request.CSR}})
		})
	}

	for name, script := range map[string]ports.CRLAnswer{
		"given":       {PEM: []byte("a\r\nlist \x00"), ServerTime: date},
		"unavailable": {Reason: "it answered 503", ServerTime: date, RetryAfter: "7"},
	} {
		t.Run("crl: "+name, func(t *testing.T) {
			is := is.New(t)
			manager := fresh(t, ManagerScript{CRL: script})
			got := manager.Enroller.CRL(t.Context())
			is.True(got.ServerTime.Equal(date))
			is.Equal(got.RetryAfter, script.RetryAfter)
			is.Equal(string(got.PEM), string(script.PEM))
			is.Equal(got.Reason != "", script.Reason != "")
			managerWords(t, got)
			is.Equal(manager.Requests(), []ManagerRequest{{Kind: "crl"}})
		})
	}

	// As of a site's server: the words of another.
	tail := "\x1b[31m\r\n\x00" + strings.Repeat("and so on, é ", 40)
	unfit := "the token " + managerToken + " or " + url.PathEscape(managerToken) + " and " + managerKey + tail
	for name, script := range map[string]ManagerScript{
		// A registration knows no token that could be echoed.
		"host exists":          {Register: ports.RegisterAnswer{Outcome: ports.HostExists{Detail: managerKey + tail}}},
		"register, unexpected": {Register: ports.RegisterAnswer{Outcome: ports.RegisterUnexpected{Status: 400, Detail: managerKey + tail}}},
		"poll, unexpected":     {Poll: ports.PollAnswer{Outcome: ports.PollUnexpected{Status: 400, Detail: unfit}}},
	} {
		t.Run("words that are not fit for people: "+name, func(t *testing.T) {
			var got, want any
			if script.Poll.Outcome != nil {
				got, want = fresh(t, script).Enroller.Poll(t.Context(), token).Outcome, script.Poll.Outcome
			} else {
				got, want = fresh(t, script).Enroller.Register(t.Context(), request).Outcome, script.Register.Outcome
			}
			is.New(t).Equal(reflect.TypeOf(got), reflect.TypeOf(want))
			managerWords(t, got)
		})
	}

	// calls are the four methods that make a request, and their outcomes.
	calls := map[string]func(context.Context, ports.ManagerEnroller) any{
		"register": func(ctx context.Context, e ports.ManagerEnroller) any { return e.Register(ctx, request).Outcome },
		"poll":     func(ctx context.Context, e ports.ManagerEnroller) any { return e.Poll(ctx, token).Outcome },
		"renew":    func(ctx context.Context, e ports.ManagerEnroller) any { return e.Renew(ctx, request.CSR).Outcome },
		"crl":      func(ctx context.Context, e ports.ManagerEnroller) any { return e.CRL(ctx) },
	}
	for name, call := range calls {
		t.Run(name+": a context that is done", func(t *testing.T) {
			manager := fresh(t, ManagerScript{Hang: true})
			managerInterrupted(t, call(canceled(), manager.Enroller))
		})
		t.Run(name+": a context that ends while the manager is silent", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			manager := fresh(t, ManagerScript{Hang: true})
			done := make(chan any, 1)
			go func() { done <- call(ctx, manager.Enroller) }()
			eventually(t, "the request arrives", func() bool { return len(manager.Requests()) == 1 })
			cancel()
			select {
			case outcome := <-done:
				managerInterrupted(t, outcome)
			case <-time.After(soon):
				t.Fatal("it goes on after its context has ended")
			}
		})
		t.Run(name+": one request for each of many calls at once", func(t *testing.T) {
			manager := fresh(t, ManagerScript{
				Register: ports.RegisterAnswer{Outcome: ports.RegisterTransient{}}, Poll: ports.PollAnswer{Outcome: ports.PollTransient{}},
				Renew: ports.RenewAnswer{Outcome: ports.RenewTransient{}}, CRL: ports.CRLAnswer{Reason: "it answered 500"},
			})
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { managerInterrupted(t, call(t.Context(), manager.Enroller)) })
			}
			wg.Wait()
			is.New(t).Equal(len(manager.Requests()), 8)
		})
	}
}

// managerDecisions are bodies of a poll's 200 and what they say.
var managerDecisions = []struct {
	body string
	want ports.PollDecision
}{
	{`{"status":"pending"}`, ports.DecisionPending{}},
	{` {"status":"pending","since":[1],"ca_crt":"x"}` + "\r\n", ports.DecisionPending{}},
	{`{"status":"denied"}`, ports.DecisionDenied{}},
	{`{"status":"notfound"}`, ports.DecisionUnknown{}},
	{`{"status":"not_found"}`, ports.DecisionUnknown{}},
	{
		`{"status":"approved","ca_crt":"CA","server_crt":"leaf\nmore\n","server_key":"key","ca_chain":"chain","crl_pem":"list","repo_config":{"x":1},"new":null}`,
		ports.DecisionApproved{Bundle: ports.Bundle{
			CA: []byte("CA"), Cert: []byte("leaf\nmore\n"), Key: ports.NewSecret("key"), Chain: []byte("chain"), CRL: []byte("list"),
		}},
	},
	{
		`{"status":"approved","ca_crt":"CA","server_crt":"leaf"}`,
		ports.DecisionApproved{Bundle: ports.Bundle{CA: []byte("CA"), Cert: []byte("leaf")}},
	},
	{
		`{"status":"approved","ca_crt":"CA","server_crt":"leaf","server_key":"","ca_chain":"","crl_pem":null,"repo_config":null}`,
		ports.DecisionApproved{Bundle: ports.Bundle{CA: []byte("CA"), Cert: []byte("leaf")}},
	},
	{`{"status":"approved","server_crt":"leaf","server_key":"` + strings.ReplaceAll(managerKey, "\n", `\n`) + `"}`, ports.DecisionUnreadable{}},
	{`{"status":"approved","ca_crt":"CA","server_crt":"","server_key":"key"}`, ports.DecisionUnreadable{}},
	{`{"status":"approved","ca_crt":" ","server_crt":"leaf"}`, ports.DecisionUnreadable{}},
	{`{"status":"approved","ca_crt":["CA"],"server_crt":"leaf"}`, ports.DecisionUnreadable{}},
	{`{"status":"approved","CA_CRT":"CA","server_crt":"leaf"}`, ports.DecisionUnreadable{}},
	{`{"status":"approved"}`, ports.DecisionUnreadable{}},
	{`{"status":"revoked"}`, ports.DecisionUnreadable{}},
	{`{"status":"` + managerToken + `"}`, ports.DecisionUnreadable{}},
	{`{"status":"a\u0000b"}`, ports.DecisionUnreadable{}},
	{`{"status":7}`, ports.DecisionUnreadable{}},
	{`{"Status":"pending"}`, ports.DecisionUnreadable{}},
	{`{}`, ports.DecisionUnreadable{}},
	{`null`, ports.DecisionUnreadable{}},
	{`["pending"]`, ports.DecisionUnreadable{}},
	{`{"status":"pending"`, ports.DecisionUnreadable{}},
	{`{"status":"pending"} {}`, ports.DecisionUnreadable{}},
	{`<html>pending</html>`, ports.DecisionUnreadable{}},
	{``, ports.DecisionUnreadable{}},
}

func sameBundle(t *testing.T, got, want ports.Bundle) {
	t.Helper()
	if !bytes.Equal(got.CA, want.CA) || !bytes.Equal(got.Cert, want.Cert) || !bytes.Equal(got.Chain, want.Chain) ||
		!bytes.Equal(got.CRL, want.CRL) || !got.Key.Equal(want.Key) {
		t.Errorf("another bundle: CA %q, certificate %q, chain %q, CRL %q", got.CA, got.Cert, got.Chain, got.CRL)
	}
}

func managerInterrupted(t *testing.T, outcome any) {
	t.Helper()
	switch o := outcome.(type) {
	case ports.RegisterTransient, ports.PollTransient, ports.RenewTransient:
	case ports.CRLAnswer:
		if len(o.PEM) != 0 {
			t.Error("a revocation list")
		}
	default:
		t.Errorf("got %T, want a transient failure", outcome)
	}
	managerWords(t, outcome)
}

// managerWords checks what people will read of an outcome.
func managerWords(t *testing.T, outcome any) {
	t.Helper()
	var words string
	reason := false
	switch o := outcome.(type) {
	case ports.HostExists:
		words = o.Detail
	case ports.RegisterUnexpected:
		words = o.Detail
	case ports.PollUnexpected:
		words = o.Detail
	case ports.RegisterTransient:
		words, reason = o.Reason, true
	case ports.PollTransient:
		words, reason = o.Reason, true
	case ports.RenewTransient:
		words, reason = o.Reason, true
	case ports.DecisionUnreadable:
		words, reason = o.Reason, true
	case ports.CRLAnswer:
		words, reason = o.Reason, len(o.PEM) == 0
	case nil:
		t.Error("no outcome")
	}
	most := serversWords
	if reason {
		most += ourWords
	}
	if reason && words == "" {
		t.Error("a failure without a reason")
	}
	if utf8.RuneCountInString(words) > most || strings.ContainsFunc(words, unicode.IsControl) {
		t.Errorf("not fit for a log: %q", words)
	}
	for _, secret := range []string{managerToken, "contract", "7Hq2Zr", "PRIVATE KEY", "MIG"} {
		if strings.Contains(words, secret) {
			t.Errorf("a secret in %q", words)
		}
	}
}

// ManagerKind is which sort of manager a life is lived at.
type ManagerKind struct {
	IgnoreCSR bool // it makes the key itself
	NoRenew   bool // it does not have the renew endpoint
}

// LiveManager is a manager with an operator, and an enroller that asks it.
type LiveManager struct {
	Enroller ports.ManagerEnroller
	// Present makes c what renewals present from now on; nil for nothing.
	Present func(c *tls.Certificate)
	// The operator's deeds, on the newest registration of a machine. Revoke
	// revokes its certificates.
	Approve, Deny, Remove, Revoke func(machineID string) error
}

// ManagerLife is a second suite: what enrollers rely on beyond single
// answers, so that a manager in memory is one like others. Each fresh is a
// manager of its own, which leaves decisions to its operator.
func ManagerLife(t *testing.T, fresh func(*testing.T, ManagerKind) LiveManager) {
	names(t, "ManagerLife")
	t.Run("from registration to a bundle, which is given once", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, ManagerKind{})
		key, csr := newCSR(t)
		token := register(t, m, lifeRequest("web-3", csr)).(ports.Registered).Token
		for range 3 {
			is.Equal(decision(t, m, token), ports.DecisionPending{})
		}
		is.NoErr(m.Approve(lifeID("web-3")))
		bundle := decision(t, m, token).(ports.DecisionApproved).Bundle
		is.True(bundle.Key.Empty())
		leaf := provenLeaf(t, bundle)
		is.True(key.PublicKey.Equal(leaf.PublicKey))
		is.NoErr(leaf.VerifyHostname("web-3.example.org"))
		is.NoErr(leaf.VerifyHostname("192.0.2.7"))
		is.Equal(decision(t, m, token), ports.DecisionUnknown{})
		_, exists := register(t, m, lifeRequest("web-3", csr)).(ports.HostExists)
		is.True(exists)
	})
	t.Run("a manager that makes the key", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, ManagerKind{IgnoreCSR: true})
		_, csr := newCSR(t)
		token := register(t, m, lifeRequest("web-3", csr)).(ports.Registered).Token
		is.NoErr(m.Approve(lifeID("web-3")))
		bundle := decision(t, m, token).(ports.DecisionApproved).Bundle
		_, err := tls.X509KeyPair(bundle.Cert, []byte(bundle.Key.Reveal()))
		is.NoErr(err)
		provenLeaf(t, bundle)
	})
	t.Run("a registration asked for again", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, ManagerKind{})
		_, csr := newCSR(t)
		request := lifeRequest("web-3", csr)
		token := register(t, m, request).(ports.Registered).Token
		is.True(register(t, m, request).(ports.Registered).Token.Equal(token))
		request.IdempotencyKey = "00000000-0000-4000-8000-000000000001"
		_, exists := register(t, m, request).(ports.HostExists)
		is.True(exists)
		other := register(t, m, lifeRequest("web-4", csr)).(ports.Registered).Token
		is.True(!other.Equal(token))
	})
	t.Run("denied", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, ManagerKind{})
		_, csr := newCSR(t)
		token := register(t, m, lifeRequest("web-3", csr)).(ports.Registered).Token
		is.NoErr(m.Deny(lifeID("web-3")))
		is.Equal(decision(t, m, token), ports.DecisionDenied{})
		request := lifeRequest("web-3", csr)
		request.IdempotencyKey = "00000000-0000-4000-8000-000000000001"
		again := register(t, m, request).(ports.Registered).Token
		is.True(!again.Equal(token))
		is.Equal(decision(t, m, again), ports.DecisionPending{})
	})
	t.Run("removed, and a token of nobody", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, ManagerKind{})
		_, csr := newCSR(t)
		token := register(t, m, lifeRequest("web-3", csr)).(ports.Registered).Token
		is.NoErr(m.Remove(lifeID("web-3")))
		is.Equal(decision(t, m, token), ports.DecisionUnknown{})
		is.Equal(decision(t, m, ports.NewSecret("never given")), ports.DecisionUnknown{})
		_, registered := register(t, m, lifeRequest("web-3", csr)).(ports.Registered)
		is.True(registered)
	})
	t.Run("approved again", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, ManagerKind{})
		enrolled(t, m)
		_, csr := newCSR(t)
		request := lifeRequest("web-3", csr)
		_, exists := register(t, m, request).(ports.HostExists)
		is.True(exists)
		is.NoErr(m.Approve(lifeID("web-3")))
		request.IdempotencyKey = "00000000-0000-4000-8000-000000000001"
		token := register(t, m, request).(ports.Registered).Token
		provenLeaf(t, decision(t, m, token).(ports.DecisionApproved).Bundle)
		is.Equal(decision(t, m, token), ports.DecisionUnknown{})
		_, exists = register(t, m, request).(ports.HostExists)
		is.True(exists)
	})
	t.Run("renewal", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, ManagerKind{})
		present := enrolled(t, m)
		for range 3 {
			key, csr := newCSR(t)
			m.Present(&present)
			bundle := m.Enroller.Renew(t.Context(), csr).Outcome.(ports.Renewed).Bundle
			leaf := provenLeaf(t, bundle)
			is.True(key.PublicKey.Equal(leaf.PublicKey))
			is.NoErr(leaf.VerifyHostname("web-3.example.org"))
			present = tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
		}
		_, csr := newCSR(t)
		m.Present(nil)
		_, refused := m.Enroller.Renew(t.Context(), csr).Outcome.(ports.RenewNotOffered)
		is.True(refused)
		m.Present(&present)
		is.NoErr(m.Revoke(lifeID("web-3")))
		_, refused = m.Enroller.Renew(t.Context(), csr).Outcome.(ports.RenewNotOffered)
		is.True(refused)
	})
	t.Run("a manager that does not renew", func(t *testing.T) {
		m := fresh(t, ManagerKind{NoRenew: true})
		present := enrolled(t, m)
		m.Present(&present)
		_, csr := newCSR(t)
		is.New(t).Equal(m.Enroller.Renew(t.Context(), csr).Outcome, ports.RenewNotOffered{Status: 404})
	})
	t.Run("the revocation list", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, ManagerKind{})
		_, csr := newCSR(t)
		token := register(t, m, lifeRequest("web-3", csr)).(ports.Registered).Token
		is.NoErr(m.Approve(lifeID("web-3")))
		bundle := decision(t, m, token).(ports.DecisionApproved).Bundle
		leaf := provenLeaf(t, bundle)
		is.True(!revokes(t, bundle, bundle.CRL, leaf))
		is.True(!revokes(t, bundle, m.Enroller.CRL(t.Context()).PEM, leaf))
		is.NoErr(m.Revoke(lifeID("web-3")))
		is.True(revokes(t, bundle, m.Enroller.CRL(t.Context()).PEM, leaf))
	})
}

// lifeID is the machine_id of a host.
func lifeID(hostname string) string {
	return (fmt.Sprintf("%x", hostname) + strings.Repeat("0", 32))[:32]
}

func lifeRequest(hostname string, csr []byte) ports.RegisterRequest {
	return ports.RegisterRequest{
		MachineID: lifeID(hostname), FQDN: hostname + ".example.org", IPAddress: "192.0.2.7", Hostname: hostname, CSR: csr,
		IdempotencyKey: "00000000-0000-4000-8000-" + lifeID(hostname)[:12],
	}
}

func register(t *testing.T, m LiveManager, r ports.RegisterRequest) ports.RegisterOutcome {
	t.Helper()
	return m.Enroller.Register(t.Context(), r).Outcome
}

// decision polls; a 404 says the same as the status notfound.
func decision(t *testing.T, m LiveManager, token ports.Secret) ports.PollDecision {
	t.Helper()
	switch o := m.Enroller.Poll(t.Context(), token).Outcome.(type) {
	case ports.PollAnswered:
		return m.Enroller.Interpret(o.Body)
	case ports.PollGone:
		return ports.DecisionUnknown{}
	default:
		t.Fatalf("polling: %+v", o)
		return nil
	}
}

// enrolled is the certificate of web-3.
func enrolled(t *testing.T, m LiveManager) tls.Certificate {
	t.Helper()
	is := is.New(t)
	key, csr := newCSR(t)
	token := register(t, m, lifeRequest("web-3", csr)).(ports.Registered).Token
	is.NoErr(m.Approve(lifeID("web-3")))
	leaf := provenLeaf(t, decision(t, m, token).(ports.DecisionApproved).Bundle)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
}

// newCSR is a CSR that asks for the names of lifeRequest("web-3").
func newCSR(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	is := is.New(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	is.NoErr(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "web-3.example.org"}, DNSNames: []string{"web-3.example.org"},
	}, key)
	is.NoErr(err)
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// provenLeaf is the leaf of a bundle, which verifies up to the bundle's CA for
// both ends of TLS.
func provenLeaf(t *testing.T, b ports.Bundle) *x509.Certificate {
	t.Helper()
	is := is.New(t)
	block, _ := pem.Decode(b.Cert)
	is.True(block != nil)
	leaf, err := x509.ParseCertificate(block.Bytes)
	is.NoErr(err)
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	is.True(roots.AppendCertsFromPEM(b.CA))
	intermediates.AppendCertsFromPEM(b.Chain) // may be empty
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{usage}})
		is.NoErr(err)
	}
	return leaf
}

// revokes reports whether a list, which a CA of the bundle has signed, names
// the leaf.
func revokes(t *testing.T, b ports.Bundle, list []byte, leaf *x509.Certificate) bool {
	t.Helper()
	is := is.New(t)
	block, _ := pem.Decode(list)
	is.True(block != nil)
	crl, err := x509.ParseRevocationList(block.Bytes)
	is.NoErr(err)
	signed := false
	for rest := bytes.Join([][]byte{b.CA, b.Chain}, []byte("\n")); ; {
		var ca *pem.Block
		if ca, rest = pem.Decode(rest); ca == nil {
			break
		}
		issuer, err := x509.ParseCertificate(ca.Bytes)
		is.NoErr(err)
		signed = signed || crl.CheckSignatureFrom(issuer) == nil
	}
	is.True(signed)
	for _, entry := range crl.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
			return true
		}
	}
	return false
}
