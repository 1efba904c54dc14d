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

// IssuerScript is how an issuer behaves towards every request. Reasons and
// details are the words that it sends along, as far as it sends any.
type IssuerScript struct {
	Submit ports.Answer[ports.SubmitOutcome]
	// Resumed: Submit answers a request with a resume value.
	Resumed bool
	Renew   ports.Answer[ports.RenewOutcome]
	// Decision is what the answer says where Submit or Renew is IssueReceived.
	Decision    ports.IssueDecision
	CA          ports.Answer[ports.CAOutcome]
	Revocations ports.Answer[ports.RevocationOutcome]
	// Hang: the issuer takes the request and never answers.
	Hang bool
}

// IssuerRequest is one that reached the issuer. Fields that its kind does not
// have are empty.
type IssuerRequest struct {
	Kind   string // submit, resume, renew, ca, crl
	Submit ports.IssueRequest
	CSR    []byte
}

// ScriptedIssuer is an issuer that follows a script, and an adapter that asks
// it. The zero value says that this kind of issuer has no such answer.
type ScriptedIssuer struct {
	Issuer ports.CertificateIssuer
	// Revocations is nil where this kind of issuer publishes no list.
	Revocations ports.RevocationSource
	// Requests are those that reached the issuer, oldest first.
	Requests func() []IssuerRequest
}

// The secrets of the suite. A part of them in a text for people is a failure.
const (
	issuerResume = "tok/en +%2F?#.contract-7Hq2Zr"
	issuerKey    = "-----BEGIN PRIVATE KEY-----\nMIGcontractcontract9Bq\n-----END PRIVATE KEY-----\n"
)

// CertificateIssuer is the suite of ports.CertificateIssuer and
// ports.RevocationSource. It knows no wire: the adapter's test says each answer
// in its own. Each fresh is an issuer of its own.
func CertificateIssuer(t *testing.T, fresh func(*testing.T, IssuerScript) ScriptedIssuer) {
	names(t, "CertificateIssuer")
	date := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	request := ports.IssueRequest{
		MachineID: strings.Repeat("0123456789abcdef", 2),
		Host: ports.HostFacts{
			Hostname: "web-3", FQDN: "web-3.example.org", IPAddress: "2001:db8::7",
			OS: ports.OSDetails{
				Distro: `Debian "GNU"/<Linux> ü`, Name: "debian", Version: "12", Codename: "bookworm", IDLike: "a b", Kernel: "6.1.0-18-amd64",
			},
		},
		CSR:            []byte("-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"),
		IdempotencyKey: "6b0f4a3e-8b1c-4d59-9a4e-0c1d2e3f4a5b",
	}
	resume := ports.IssueRequest{Resume: ports.NewSecret(issuerResume)}
	said := map[reflect.Type]bool{} // the outcomes that this kind of issuer has

	for name, tt := range map[string]struct {
		request ports.IssueRequest
		answer  ports.Answer[ports.SubmitOutcome]
	}{
		"pending":            {request, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssuePending{Resume: resume.Resume}, ServerTime: date, RetryAfter: "5"}},
		"known":              {request, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueKnown{Detail: "remove it first"}, ServerTime: date}},
		"known, silently":    {request, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueKnown{}, ServerTime: date}},
		"denied at once":     {request, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueDenied{}, ServerTime: date}},
		"needs credentials":  {request, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueNeedsCredentials{Detail: "no coffee"}, ServerTime: date}},
		"busy":               {request, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueBusy{}, ServerTime: date, RetryAfter: "Tue, 06 May 2031 07:10:09 GMT"}},
		"unavailable":        {request, ports.Answer[ports.SubmitOutcome]{Outcome: ports.Unavailable{}, ServerTime: date, RetryAfter: "7"}},
		"unexpected":         {request, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueUnexpected{Status: 418, Detail: "no coffee"}, ServerTime: date}},
		"received at once":   {request, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueReceived{}, ServerTime: date}},
		"resumed: pending":   {resume, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssuePending{}, ServerTime: date}},
		"resumed: received":  {resume, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueReceived{}, ServerTime: date}},
		"resumed: denied":    {resume, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueDenied{}, ServerTime: date}},
		"resumed: unknown":   {resume, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueUnknown{}, ServerTime: date}},
		"resumed: busy":      {resume, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueBusy{}, ServerTime: date}},
		"resumed: away":      {resume, ports.Answer[ports.SubmitOutcome]{Outcome: ports.Unavailable{}, ServerTime: date, RetryAfter: "7"}},
		"resumed: unlike it": {resume, ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueUnexpected{Status: 418, Detail: "no coffee"}, ServerTime: date}},
	} {
		t.Run("submit: "+name, func(t *testing.T) {
			is := is.New(t)
			s := fresh(t, IssuerScript{Submit: tt.answer, Resumed: !tt.request.Resume.Empty(), Decision: ports.IssueDenied{}})
			if s.Issuer == nil {
				t.Log("this kind of issuer has no such answer")
				return
			}
			said[reflect.TypeOf(tt.answer.Outcome)] = true
			got := s.Issuer.Submit(t.Context(), tt.request)
			is.True(got.ServerTime.Equal(date)) // the Date header
			is.Equal(got.RetryAfter, tt.answer.RetryAfter)
			switch want := tt.answer.Outcome.(type) {
			case ports.IssuePending:
				is.True(got.Outcome.(ports.IssuePending).Resume.Equal(want.Resume)) // the resume value, whole
			case ports.Unavailable, ports.IssueBusy, ports.IssueReceived:
				is.Equal(reflect.TypeOf(got.Outcome), reflect.TypeOf(want))
			case ports.IssueUnexpected:
				o := got.Outcome.(ports.IssueUnexpected)
				is.True(o.Check != "") // what a person is to check
				o.Check = ""
				is.Equal(o, want)
			default:
				is.Equal(got.Outcome, want)
			}
			issuerWords(t, got.Outcome)
			requests := s.Requests()
			is.Equal(len(requests), 1)
			if tt.request.Resume.Empty() {
				is.Equal(requests[0], IssuerRequest{Kind: "submit", Submit: request})
			} else {
				is.Equal(requests[0].Kind, "resume")
				is.True(requests[0].Submit.Resume.Equal(resume.Resume)) // it asks about that request
			}
		})
	}
	t.Run("submit: what every issuer can say", func(t *testing.T) {
		for _, o := range []ports.SubmitOutcome{ports.IssueReceived{}, ports.IssuePending{}, ports.Unavailable{}, ports.IssueUnexpected{}} {
			if !said[reflect.TypeOf(o)] {
				t.Errorf("no answer gives %T", o)
			}
		}
	})
	t.Run("submit: without what may be empty", func(t *testing.T) {
		is := is.New(t)
		s := fresh(t, IssuerScript{Submit: ports.Answer[ports.SubmitOutcome]{Outcome: ports.Unavailable{}}})
		bare := ports.IssueRequest{MachineID: request.MachineID, Host: ports.HostFacts{FQDN: "web-3", IPAddress: "192.0.2.7", Hostname: "web-3"}}
		s.Issuer.Submit(t.Context(), bare)
		got := s.Requests()[0].Submit
		is.Equal(len(got.CSR), 0)
		got.CSR = nil
		is.Equal(got, bare)
	})

	bundle := ports.Bundle{CA: []byte("a\r\nca"), Cert: []byte("a leaf"), Chain: []byte("a chain"), CRL: []byte("a list")}
	withKey := bundle
	withKey.Key = ports.NewSecret(issuerKey)
	for name, want := range map[string]ports.IssueDecision{
		"issued":            ports.Issued{Bundle: bundle},
		"issued, with key":  ports.Issued{Bundle: withKey},
		"issued, the least": ports.Issued{Bundle: ports.Bundle{CA: bundle.CA, Cert: bundle.Cert}},
		"pending":           ports.IssuePending{},
		"denied":            ports.IssueDenied{},
		"unknown":           ports.IssueUnknown{},
		"unreadable":        ports.IssueUnreadable{},
	} {
		for _, renewal := range []bool{false, true} {
			if _, issued := want.(ports.Issued); renewal && !issued {
				continue // a renewal brings a certificate or none: each kind of answer has its own
			}
			t.Run(fmt.Sprintf("received: %s, renewal %v", name, renewal), func(t *testing.T) {
				script := IssuerScript{
					Submit:   ports.Answer[ports.SubmitOutcome]{Outcome: ports.IssueReceived{}},
					Resumed:  true,
					Renew:    ports.Answer[ports.RenewOutcome]{Outcome: ports.IssueReceived{}},
					Decision: want,
				}
				s := fresh(t, script)
				if s.Issuer == nil {
					return // this kind of issuer does not say it so
				}
				received := receive(t, s.Issuer, resume, request.CSR, renewal)
				is.New(t).Equal(received.Renewal, renewal)
				// The second reads it after a crash, the third once more.
				another := fresh(t, script).Issuer
				for _, issuer := range []ports.CertificateIssuer{s.Issuer, another, another} {
					got := issuer.Interpret(received)
					is.New(t).Equal(reflect.TypeOf(got), reflect.TypeOf(want))
					if issued, ok := got.(ports.Issued); ok {
						sameBundle(t, issued.Bundle, want.(ports.Issued).Bundle)
					}
					issuerWords(t, got)
				}
			})
		}
	}
	t.Run("received: garbage", func(t *testing.T) {
		issuer := fresh(t, IssuerScript{}).Issuer
		for _, raw := range []string{"", " ", "nonsense", issuerKey, issuerResume, "\x00\xff", strings.Repeat("A", 1<<20)} {
			for _, renewal := range []bool{false, true} {
				got := issuer.Interpret(ports.Received{Raw: ports.NewSecret(raw), Renewal: renewal})
				is.New(t).Equal(reflect.TypeOf(got), reflect.TypeOf(ports.IssueUnreadable{}))
				issuerWords(t, got)
			}
		}
	})

	for name, script := range map[string]ports.Answer[ports.RenewOutcome]{
		"received":                 {Outcome: ports.IssueReceived{}, ServerTime: date},
		"not offered":              {Outcome: ports.RenewNotOffered{Status: 404}, ServerTime: date},
		"not offered, for another": {Outcome: ports.RenewNotOffered{Status: 409}, ServerTime: date},
		"unavailable":              {Outcome: ports.Unavailable{}, ServerTime: date, RetryAfter: "7"},
	} {
		t.Run("renew: "+name, func(t *testing.T) {
			is := is.New(t)
			s := fresh(t, IssuerScript{Renew: script, Decision: ports.Issued{Bundle: bundle}})
			got := s.Issuer.Renew(t.Context(), request.CSR)
			is.True(got.ServerTime.Equal(date)) // the Date header
			is.Equal(got.RetryAfter, script.RetryAfter)
			is.Equal(reflect.TypeOf(got.Outcome), reflect.TypeOf(script.Outcome))
			if want, ok := script.Outcome.(ports.RenewNotOffered); ok {
				is.Equal(got.Outcome, want)
			}
			issuerWords(t, got.Outcome)
			is.Equal(s.Requests(), []IssuerRequest{{Kind: "renew", CSR: request.CSR}})
		})
	}

	for name, script := range map[string]ports.Answer[ports.CAOutcome]{
		"given":       {Outcome: ports.CACertificates{PEM: []byte("a\r\nroot")}, ServerTime: date},
		"not offered": {Outcome: ports.CANotOffered{}},
		"unavailable": {Outcome: ports.Unavailable{}, ServerTime: date, RetryAfter: "7"},
	} {
		t.Run("CA certificates: "+name, func(t *testing.T) {
			is := is.New(t)
			s := fresh(t, IssuerScript{CA: script})
			if s.Issuer == nil {
				t.Log("this kind of issuer has no such answer")
				return
			}
			got := s.Issuer.CACertificates(t.Context())
			is.True(got.ServerTime.Equal(script.ServerTime)) // the Date header
			is.Equal(got.RetryAfter, script.RetryAfter)
			switch want := script.Outcome.(type) {
			case ports.Unavailable:
				is.Equal(reflect.TypeOf(got.Outcome), reflect.TypeOf(want))
			default:
				is.Equal(got.Outcome, want)
			}
			issuerWords(t, got.Outcome)
		})
	}

	for name, script := range map[string]ports.Answer[ports.RevocationOutcome]{
		"given":       {Outcome: ports.RevocationList{PEM: []byte("a\r\nlist \x00")}, ServerTime: date},
		"unavailable": {Outcome: ports.Unavailable{Reason: "it answered 503"}, ServerTime: date, RetryAfter: "7"},
	} {
		t.Run("revocation list: "+name, func(t *testing.T) {
			is := is.New(t)
			s := fresh(t, IssuerScript{Revocations: script})
			if s.Revocations == nil {
				t.Log("this kind of issuer publishes no list")
				return
			}
			got := s.Revocations.RevocationList(t.Context())
			is.True(got.ServerTime.Equal(date)) // the Date header
			is.Equal(got.RetryAfter, script.RetryAfter)
			if want, ok := script.Outcome.(ports.RevocationList); ok {
				is.Equal(got.Outcome, want)
			}
			is.Equal(reflect.TypeOf(got.Outcome), reflect.TypeOf(script.Outcome))
			issuerWords(t, got.Outcome)
			is.Equal(s.Requests(), []IssuerRequest{{Kind: "crl"}})
		})
	}

	// As of a site's server: the words of another.
	tail := "\x1b[31m\r\n\x00" + strings.Repeat("and so on, é ", 40)
	echo := "the token " + issuerResume + " or " + url.PathEscape(issuerResume) + " and " + issuerKey + tail
	for name, tt := range map[string]struct {
		request ports.IssueRequest
		outcome ports.SubmitOutcome
	}{
		// A submission knows no resume value that could be echoed.
		"known":               {request, ports.IssueKnown{Detail: issuerKey + tail}},
		"unexpected":          {request, ports.IssueUnexpected{Status: 400, Detail: issuerKey + tail}},
		"resumed, unexpected": {resume, ports.IssueUnexpected{Status: 400, Detail: echo}},
	} {
		t.Run("words that are not fit for people: "+name, func(t *testing.T) {
			s := fresh(t, IssuerScript{Submit: ports.Answer[ports.SubmitOutcome]{Outcome: tt.outcome}, Resumed: !tt.request.Resume.Empty()})
			if s.Issuer == nil {
				return
			}
			got := s.Issuer.Submit(t.Context(), tt.request).Outcome
			is.New(t).Equal(reflect.TypeOf(got), reflect.TypeOf(tt.outcome))
			issuerWords(t, got)
		})
	}

	// calls are the methods that make a request, and their outcomes.
	calls := map[string]func(context.Context, ScriptedIssuer) any{
		"submit": func(ctx context.Context, s ScriptedIssuer) any { return s.Issuer.Submit(ctx, request).Outcome },
		"resume": func(ctx context.Context, s ScriptedIssuer) any { return s.Issuer.Submit(ctx, resume).Outcome },
		"renew":  func(ctx context.Context, s ScriptedIssuer) any { return s.Issuer.Renew(ctx, request.CSR).Outcome },
	}
	if fresh(t, IssuerScript{}).Revocations != nil {
		calls["crl"] = func(ctx context.Context, s ScriptedIssuer) any { return s.Revocations.RevocationList(ctx).Outcome }
	}
	if fresh(t, IssuerScript{CA: ports.Answer[ports.CAOutcome]{Outcome: ports.Unavailable{}}}).Issuer != nil {
		calls["ca"] = func(ctx context.Context, s ScriptedIssuer) any { return s.Issuer.CACertificates(ctx).Outcome }
	}
	away := IssuerScript{
		Submit: ports.Answer[ports.SubmitOutcome]{Outcome: ports.Unavailable{}}, Renew: ports.Answer[ports.RenewOutcome]{Outcome: ports.Unavailable{}},
		Revocations: ports.Answer[ports.RevocationOutcome]{Outcome: ports.Unavailable{}},
	}
	if calls["ca"] != nil {
		away.CA = ports.Answer[ports.CAOutcome]{Outcome: ports.Unavailable{}}
	}
	silent := away
	silent.Hang = true
	for name, call := range calls {
		t.Run(name+": a context that is done", func(t *testing.T) {
			issuerAway(t, call(canceled(), fresh(t, silent)))
		})
		t.Run(name+": a context that ends while the issuer is silent", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := fresh(t, silent)
			done := make(chan any, 1)
			go func() { done <- call(ctx, s) }()
			eventually(t, "the request arrives", func() bool { return len(s.Requests()) == 1 })
			cancel()
			select {
			case outcome := <-done:
				issuerAway(t, outcome)
			case <-time.After(soon):
				t.Fatal("it goes on after its context has ended")
			}
		})
		t.Run(name+": one request for each of many calls at once", func(t *testing.T) {
			s := fresh(t, away)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { issuerAway(t, call(t.Context(), s)) })
			}
			wg.Wait()
			is.New(t).Equal(len(s.Requests()), 8)
		})
	}
}

// receive is what an issuer's answer brought.
func receive(t *testing.T, issuer ports.CertificateIssuer, resume ports.IssueRequest, csr []byte, renewal bool) ports.Received {
	t.Helper()
	var outcome any = issuer.Submit(t.Context(), resume).Outcome
	if renewal {
		outcome = issuer.Renew(t.Context(), csr).Outcome
	}
	received, ok := outcome.(ports.IssueReceived)
	if !ok {
		t.Fatalf("got %T, want an answer that was received", outcome)
	}
	return received.Received
}

func sameBundle(t *testing.T, got, want ports.Bundle) {
	t.Helper()
	if !bytes.Equal(got.CA, want.CA) || !bytes.Equal(got.Cert, want.Cert) || !bytes.Equal(got.Chain, want.Chain) ||
		!bytes.Equal(got.CRL, want.CRL) || !got.Key.Equal(want.Key) {
		t.Errorf("another bundle: CA %q, certificate %q, chain %q, CRL %q", got.CA, got.Cert, got.Chain, got.CRL)
	}
}

func issuerAway(t *testing.T, outcome any) {
	t.Helper()
	if _, ok := outcome.(ports.Unavailable); !ok {
		t.Errorf("got %T, want a passing failure", outcome)
	}
	issuerWords(t, outcome)
}

// issuerWords checks the words of an outcome that people will read.
func issuerWords(t *testing.T, outcome any) {
	t.Helper()
	var words string
	reason := false
	switch o := outcome.(type) {
	case ports.IssueKnown:
		words = o.Detail
	case ports.IssueNeedsCredentials:
		words = o.Detail
	case ports.IssueUnexpected:
		words = o.Detail
	case ports.IssueBusy:
		words, reason = o.Reason, true
	case ports.Unavailable:
		words, reason = o.Reason, true
	case ports.IssueUnreadable:
		words, reason = o.Reason, true
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
	for _, secret := range []string{issuerResume, "contract", "7Hq2Zr", "PRIVATE KEY", "MIG"} {
		if strings.Contains(words, secret) {
			t.Errorf("a secret in %q", words)
		}
	}
}

// IssuerKind is which sort of issuer a life is lived at.
type IssuerKind struct {
	IgnoreCSR bool // it makes the key itself
	NoRenew   bool // it does not renew by itself
}

// LiveIssuer is an issuer with an operator, and an adapter that asks it.
type LiveIssuer struct {
	Issuer      ports.CertificateIssuer
	Revocations ports.RevocationSource
	// Present makes c what renewals present from now on; nil for nothing.
	Present func(c *tls.Certificate)
	// The operator's deeds, on the newest request of a machine. Revoke revokes
	// its certificates.
	Approve, Deny, Remove, Revoke func(machineID string) error
}

// IssuerLife is a second suite: what the agent relies on beyond single answers,
// so that an issuer in memory is one like others. Each fresh is an issuer of
// its own, which leaves decisions to its operator.
func IssuerLife(t *testing.T, fresh func(*testing.T, IssuerKind) LiveIssuer) {
	names(t, "IssuerLife")
	t.Run("from registration to a bundle, which is given once", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, IssuerKind{})
		key, csr := newCSR(t)
		token := register(t, m, lifeRequest("web-3", csr)).(ports.IssuePending).Resume
		for range 3 {
			is.Equal(decision(t, m, token), ports.IssuePending{})
		}
		is.NoErr(m.Approve(lifeID("web-3")))
		bundle := decision(t, m, token).(ports.Issued).Bundle
		is.True(bundle.Key.Empty())
		leaf := provenLeaf(t, bundle)
		is.True(key.PublicKey.Equal(leaf.PublicKey))
		is.NoErr(leaf.VerifyHostname("web-3.example.org"))
		is.NoErr(leaf.VerifyHostname("192.0.2.7"))
		is.Equal(decision(t, m, token), ports.IssueUnknown{})
		_, exists := register(t, m, lifeRequest("web-3", csr)).(ports.IssueKnown)
		is.True(exists)
	})
	t.Run("an issuer that makes the key", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, IssuerKind{IgnoreCSR: true})
		_, csr := newCSR(t)
		token := register(t, m, lifeRequest("web-3", csr)).(ports.IssuePending).Resume
		is.NoErr(m.Approve(lifeID("web-3")))
		bundle := decision(t, m, token).(ports.Issued).Bundle
		_, err := tls.X509KeyPair(bundle.Cert, []byte(bundle.Key.Reveal()))
		is.NoErr(err)
		provenLeaf(t, bundle)
	})
	t.Run("a registration asked for again", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, IssuerKind{})
		_, csr := newCSR(t)
		request := lifeRequest("web-3", csr)
		token := register(t, m, request).(ports.IssuePending).Resume
		is.True(register(t, m, request).(ports.IssuePending).Resume.Equal(token))
		request.IdempotencyKey = "00000000-0000-4000-8000-000000000001"
		_, exists := register(t, m, request).(ports.IssueKnown)
		is.True(exists)
		other := register(t, m, lifeRequest("web-4", csr)).(ports.IssuePending).Resume
		is.True(!other.Equal(token))
	})
	t.Run("denied", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, IssuerKind{})
		_, csr := newCSR(t)
		token := register(t, m, lifeRequest("web-3", csr)).(ports.IssuePending).Resume
		is.NoErr(m.Deny(lifeID("web-3")))
		is.Equal(decision(t, m, token), ports.IssueDenied{})
		request := lifeRequest("web-3", csr)
		request.IdempotencyKey = "00000000-0000-4000-8000-000000000001"
		again := register(t, m, request).(ports.IssuePending).Resume
		is.True(!again.Equal(token))
		is.Equal(decision(t, m, again), ports.IssuePending{})
	})
	t.Run("removed, and a token of nobody", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, IssuerKind{})
		_, csr := newCSR(t)
		token := register(t, m, lifeRequest("web-3", csr)).(ports.IssuePending).Resume
		is.NoErr(m.Remove(lifeID("web-3")))
		is.Equal(decision(t, m, token), ports.IssueUnknown{})
		is.Equal(decision(t, m, ports.NewSecret("never given")), ports.IssueUnknown{})
		_, registered := register(t, m, lifeRequest("web-3", csr)).(ports.IssuePending)
		is.True(registered)
	})
	t.Run("approved again", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, IssuerKind{})
		enrolled(t, m)
		_, csr := newCSR(t)
		request := lifeRequest("web-3", csr)
		_, exists := register(t, m, request).(ports.IssueKnown)
		is.True(exists)
		is.NoErr(m.Approve(lifeID("web-3")))
		request.IdempotencyKey = "00000000-0000-4000-8000-000000000001"
		token := register(t, m, request).(ports.IssuePending).Resume
		provenLeaf(t, decision(t, m, token).(ports.Issued).Bundle)
		is.Equal(decision(t, m, token), ports.IssueUnknown{})
		_, exists = register(t, m, request).(ports.IssueKnown)
		is.True(exists)
	})
	t.Run("renewal", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, IssuerKind{})
		present := enrolled(t, m)
		for range 3 {
			key, csr := newCSR(t)
			m.Present(&present)
			received := m.Issuer.Renew(t.Context(), csr).Outcome.(ports.IssueReceived).Received
			bundle := withCA(t, m, m.Issuer.Interpret(received)).(ports.Issued).Bundle
			leaf := provenLeaf(t, bundle)
			is.True(key.PublicKey.Equal(leaf.PublicKey))
			is.NoErr(leaf.VerifyHostname("web-3.example.org"))
			present = tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
		}
		_, csr := newCSR(t)
		m.Present(nil)
		_, refused := m.Issuer.Renew(t.Context(), csr).Outcome.(ports.RenewNotOffered)
		is.True(refused)
		m.Present(&present)
		is.NoErr(m.Revoke(lifeID("web-3")))
		_, refused = m.Issuer.Renew(t.Context(), csr).Outcome.(ports.RenewNotOffered)
		is.True(refused)
	})
	t.Run("an issuer that does not renew", func(t *testing.T) {
		m := fresh(t, IssuerKind{NoRenew: true})
		present := enrolled(t, m)
		m.Present(&present)
		_, csr := newCSR(t)
		is.New(t).Equal(m.Issuer.Renew(t.Context(), csr).Outcome, ports.RenewNotOffered{Status: 404})
	})
	t.Run("the revocation list", func(t *testing.T) {
		is := is.New(t)
		m := fresh(t, IssuerKind{})
		_, csr := newCSR(t)
		token := register(t, m, lifeRequest("web-3", csr)).(ports.IssuePending).Resume
		is.NoErr(m.Approve(lifeID("web-3")))
		bundle := decision(t, m, token).(ports.Issued).Bundle
		leaf := provenLeaf(t, bundle)
		is.True(!revokes(t, bundle, bundle.CRL, leaf))
		is.True(!revokes(t, bundle, m.Revocations.RevocationList(t.Context()).Outcome.(ports.RevocationList).PEM, leaf))
		is.NoErr(m.Revoke(lifeID("web-3")))
		is.True(revokes(t, bundle, m.Revocations.RevocationList(t.Context()).Outcome.(ports.RevocationList).PEM, leaf))
	})
}

// lifeID is the machine_id of a host.
func lifeID(hostname string) string {
	return (fmt.Sprintf("%x", hostname) + strings.Repeat("0", 32))[:32]
}

func lifeRequest(hostname string, csr []byte) ports.IssueRequest {
	return ports.IssueRequest{
		MachineID: lifeID(hostname), Host: ports.HostFacts{FQDN: hostname + ".example.org", IPAddress: "192.0.2.7", Hostname: hostname}, CSR: csr,
		IdempotencyKey: "00000000-0000-4000-8000-" + lifeID(hostname)[:12],
	}
}

func register(t *testing.T, m LiveIssuer, r ports.IssueRequest) ports.SubmitOutcome {
	t.Helper()
	return m.Issuer.Submit(t.Context(), r).Outcome
}

// decision asks for the operator's decision, whether it comes in a received
// answer or as an outcome of its own.
func decision(t *testing.T, m LiveIssuer, resume ports.Secret) ports.IssueDecision {
	t.Helper()
	outcome := m.Issuer.Submit(t.Context(), ports.IssueRequest{Resume: resume}).Outcome
	if received, ok := outcome.(ports.IssueReceived); ok {
		return withCA(t, m, m.Issuer.Interpret(received.Received))
	}
	if d, ok := outcome.(ports.IssueDecision); ok {
		return d
	}
	t.Fatalf("asking for the decision: %+v", outcome)
	return nil
}

// withCA is a decision whose bundle has the CA that the issuer hands out apart.
func withCA(t *testing.T, m LiveIssuer, d ports.IssueDecision) ports.IssueDecision {
	t.Helper()
	issued, ok := d.(ports.Issued)
	if !ok || len(issued.Bundle.CA) > 0 {
		return d
	}
	o := m.Issuer.CACertificates(t.Context()).Outcome
	ca, ok := o.(ports.CACertificates)
	if !ok {
		t.Fatalf("a bundle without a CA, and %+v", o)
	}
	issued.Bundle.CA = ca.PEM
	return issued
}

// enrolled is the certificate of web-3.
func enrolled(t *testing.T, m LiveIssuer) tls.Certificate {
	t.Helper()
	is := is.New(t)
	key, csr := newCSR(t)
	token := register(t, m, lifeRequest("web-3", csr)).(ports.IssuePending).Resume
	is.NoErr(m.Approve(lifeID("web-3")))
	leaf := provenLeaf(t, decision(t, m, token).(ports.Issued).Bundle)
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
