// Package upgrade takes over state directories that an earlier release wrote.
package upgrade_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// recordedKey is the recorded API key and who it was issued to.
type recordedKey struct {
	Key        string
	MachineUID string `json:"machine_uid"`
	Identity   struct {
		AgentID string `json:"agent_id"`
	}
}

func TestAnEnrolledMachineGoesOnAsItWas(t *testing.T) {
	takeOver(t, "enrolled", func(t *testing.T, is *is.I, h *host) {
		h.atSite().atManager()
		a := h.start()
		var key recordedKey
		h.read("credentials/agent.cak", &key)
		hello := h.hello()
		is.Equal(hello.Key.Reveal(), key.Key)
		is.Equal(hello.AgentID, key.Identity.AgentID)
		is.Equal(hello.MachineUID, key.MachineUID)
		h.serves(h.leaf("certs/server.pem"))
		st := a.status()
		is.Equal(st.State, ports.StateConnected)
		is.Equal(st.Credential.Source, ports.CredentialStored)
		is.Equal(st.Site.State, ports.SiteStateEnrolled)
		is.Equal(st.Issuer.State, ports.IssuerStateApproved)
		is.Equal(st.Certificate.Status, ports.CertValid)

		// The relay's wish of a moment ago was obeyed by the former release.
		frame := ports.RelayFrame{Type: ports.FrameRenewCertificates}
		h.relay.Last().Push(frame)
		pass(50 * time.Minute)
		is.Equal(len(h.servers.all()), 0) // neither server was asked for anything
		h.isAsRecorded("identity.json", "credentials/agent.cak", "enrollment/pending.json", "enrollment/retry.json",
			"certs/ca.pem", "certs/server.pem", "certs/server.key.pem", "certs/crl.pem")
		h.expectRecovered()
		pass(15 * time.Minute)
		h.relay.Last().Push(frame)
		pass(time.Second)
		is.Equal(len(h.servers.got(renewPath)), 1) // an hour later
	})
}

func TestHardwareIsComparedWithWhatWasRecorded(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*host)
		stays  bool
	}{
		"another board": {func(h *host) { h.signals.SystemUUID = ports.PresentSignal("03aa02fc-0414-0558-9906-c80700080009") }, true},
		"another machine": {func(h *host) {
			h.signals.SystemUUID = ports.PresentSignal("03aa02fc-0414-0558-9906-c80700080009")
			h.signals.BaseboardSerial = ports.PresentSignal("PF2K7QZR")
			h.signals.DiskSerial = ports.PresentSignal("WD-WX52A80L3N7F")
			h.signals.OSMachineID = ports.PresentSignal("9d3b1f0c7e5a4286b0d1c2e3f4a59687")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			takeOver(t, "enrolled", func(t *testing.T, is *is.I, h *host) {
				h.atSite()
				test.change(h)
				a := h.start()
				var key recordedKey
				h.read("credentials/agent.cak", &key)
				is.Equal(a.status().MachineUID == key.MachineUID, test.stays)
				aside, err := filepath.Glob(h.path("cloned-*/credentials/agent.cak"))
				is.NoErr(err)
				if test.stays {
					is.Equal(h.hello().Key.Reveal(), key.Key)
					is.Equal(len(h.servers.all()), 0)
					is.Equal(len(aside), 0)
				} else {
					is.Equal(len(h.servers.got(enrollPath)), 1) // as itself
					is.Equal(len(aside), 1)
				}
			})
		})
	}
}

func TestAKeyThatWasBeingStoredIsUsed(t *testing.T) {
	takeOver(t, "key-arriving", func(t *testing.T, is *is.I, h *host) {
		h.atSite()
		a := h.start()
		pass(time.Hour)
		var key recordedKey
		h.read("credentials/agent.cak.new", &key)
		is.Equal(h.hello().Key.Reveal(), key.Key)
		is.Equal(a.status().State, ports.StateConnected)
		is.Equal(len(h.servers.all()), 0) // no second enrollment
		h.has("identity.json", "credentials/agent.cak", "enrollment/retry.json")
		h.expectRecovered("credentials/agent.cak")
	})
}

const anotherKey = "cak_another_of_a_server_in_a_test"

// givesKeys answers as a site's server that knows the machine.
func givesKeys(request) answer {
	return answer{http.StatusOK, `{"key": "` + anotherKey + `"}`}
}

func TestAKeyWhoseAnswerWasLostIsAskedForAgain(t *testing.T) {
	takeOver(t, "site-answer-lost", func(t *testing.T, is *is.I, h *host) {
		h.atSite()
		h.servers.answer = givesKeys
		h.start()
		pass(time.Hour)
		asked := h.servers.asked()
		is.Equal(len(asked), 1)
		is.True(asked[0].at.Sub(h.retryOf("site").LastAttempt) >= leastAfterAttempt) // held back by the lost attempt
		is.Equal(asked[0].body["machine_uid"], recordedUID)
		is.Equal(h.hello().Key.Reveal(), anotherKey)
		h.has("identity.json", "credentials/agent.cak", "enrollment/retry.json")
		h.isAsRecorded("identity.json")
		h.expectRecovered()
	})
}

// unknown answers as a relay that knows no key but another one.
func unknown(_ context.Context, hello ports.RelayHello) error {
	if hello.Key.Reveal() == anotherKey {
		return nil
	}
	return &ports.RelayRefusedError{Status: http.StatusUnauthorized, Code: ports.RefusedUnknownAgent}
}

// A third refusal in a row is believed.
func TestRefusalsAreCountedOn(t *testing.T) {
	takeOver(t, "relay-retry-after", func(t *testing.T, is *is.I, h *host) {
		h.atSite()
		h.servers.answer, h.relay.Accept = givesKeys, unknown
		a := h.start()
		st := a.status()
		is.Equal(st.Relay.State, ports.RelayStateRefused)
		is.True(strings.Contains(st.Relay.LastError, "it is busy")) // what the former release met

		note := h.retryOf("relay")
		is.True(note.NotBefore.Sub(note.Refusal.CodeSince) > 5*time.Minute)
		h.passUntil(note.NotBefore.Add(-time.Second))
		is.Equal(len(h.relay.Dials()), 0) // the Retry-After holds
		pass(2 * time.Second)
		is.Equal(len(h.servers.asked()), 1)
		is.Equal(h.servers.asked()[0].path, enrollPath)
		is.Equal(len(h.relay.Dials()), 2)
		is.Equal(h.hello().Key.Reveal(), anotherKey)
		is.Equal(a.status().State, ports.StateConnected)
	})
}

// But not within five minutes of the first.
func TestRefusalsAreCountedFromTheFirst(t *testing.T) {
	takeOver(t, "refused", func(t *testing.T, is *is.I, h *host) {
		h.atSite()
		h.servers.answer, h.relay.Accept = givesKeys, unknown
		h.start()
		believed := h.retryOf("relay").Refusal.CodeSince.Add(5 * time.Minute)
		h.passUntil(believed.Add(-time.Second))
		is.True(len(h.relay.Dials()) > 1) // it was refused for the third time
		is.Equal(len(h.servers.asked()), 0)
		pass(10 * time.Minute)
		is.Equal(len(h.servers.asked()), 1)
		is.Equal(h.hello().Key.Reveal(), anotherKey)
	})
}

func TestRetryAfterIsWaitedOut(t *testing.T) {
	for moment, test := range map[string]struct {
		activity map[string]string // to its endpoint
		state    ports.IssuerState
	}{
		"retry-after":         {map[string]string{"site": enrollPath, "register": registerPath}, ports.IssuerStateRetrying},
		"pending-retry-after": {map[string]string{"poll": pollPath}, ports.IssuerStatePending},
		"renewal-retry-after": {map[string]string{"renew": renewPath}, ports.IssuerStateRetrying},
	} {
		t.Run(moment, func(t *testing.T) {
			takeOver(t, moment, func(t *testing.T, is *is.I, h *host) {
				h.atManager()
				if test.activity["site"] != "" {
					h.atSite()
				}
				a := h.start()
				st := a.status()
				is.Equal(st.Issuer.State, test.state)
				is.True(st.Issuer.LastError != "") // what the former release met
				pass(time.Hour)
				for activity, endpoint := range test.activity {
					got := h.servers.got(endpoint)
					is.True(len(got) > 0)
					late := got[0].at.Sub(h.retryOf(activity).NotBefore)
					is.True(late >= 0 && late < time.Second)
				}
			})
		})
	}
}

// pendingNote is what was recorded of an enrollment at the manager.
type pendingNote struct {
	IdempotencyKey string `json:"idempotency_key"`
	Token          string `json:"polling_token"`
	Polls          int
}

// registers answers as a manager that takes a registration, and says how it
// stands.
func registers(status string) func(request) answer {
	return func(q request) answer {
		if q.path == registerPath {
			return answer{http.StatusAccepted, `{"polling_token": "ept_again"}`}
		}
		return answer{http.StatusOK, `{"status": "` + status + `"}`}
	}
}

func TestARegistrationWhoseAnswerWasLostIsTheSame(t *testing.T) {
	takeOver(t, "registration-answer-lost", func(t *testing.T, is *is.I, h *host) {
		h.atManager()
		h.servers.answer = registers("pending")
		a := h.start()
		pass(5 * time.Minute)
		registered := h.servers.got(registerPath)
		is.Equal(len(registered), 1)
		is.True(registered[0].at.Sub(h.retryOf("register").LastAttempt) >= leastAfterAttempt)
		var pending pendingNote
		h.read("enrollment/pending.json", &pending)
		is.True(pending.IdempotencyKey != "")
		is.Equal(registered[0].idempotent, pending.IdempotencyKey)
		is.Equal(a.status().Issuer.State, ports.IssuerStatePending)
		h.isAsRecorded("identity.json", "enrollment/key.pem")
		h.expectRecovered()
	})
}

func TestAPendingEnrollmentIsPolledAndInstalled(t *testing.T) {
	takeOver(t, "pending", func(t *testing.T, is *is.I, h *host) {
		h.atManager()
		// What the manager answered to the former release's next poll.
		bundle, leaf := newHost(t, "bundle-received").received("enrollment/bundle.json")
		var approved atomic.Bool
		h.servers.answer = func(request) answer {
			if !approved.Load() {
				return answer{http.StatusOK, `{"status": "pending"}`}
			}
			return answer{http.StatusOK, bundle}
		}
		a := h.start()
		var pending pendingNote
		h.read("enrollment/pending.json", &pending)
		is.Equal(pending.Polls, 3)
		st := a.status()
		is.Equal(st.Issuer.State, ports.IssuerStatePending)
		is.Equal(st.Issuer.Polls, 4) // counted on
		approved.Store(true)
		pass(2 * time.Minute)
		for _, q := range h.servers.asked() {
			is.Equal(q.path, pollPath+pending.Token) // nothing but polls of the same registration
		}
		is.Equal(len(h.servers.asked()), 2)
		h.installed(a, leaf)
		h.expectRecovered()
	})
}

// installed fails the test unless a certificate is installed and served, and
// nothing is left of the way there.
func (h *host) installed(a *agent, leaf *x509.Certificate) {
	h.t.Helper()
	is := is.New(h.t)
	h.serves(leaf)
	h.has("identity.json", "enrollment/pending.json", "enrollment/retry.json",
		"certs/ca.pem", "certs/server.pem", "certs/server.key.pem", "certs/crl.pem")
	h.isAsRecorded("identity.json")
	st := a.status()
	is.Equal(st.Certificate.Status, ports.CertValid)
	is.Equal(st.Issuer.State, ports.IssuerStateApproved)
	is.Equal(st.Issuer.LastError, "")
	is.Equal(st.State, ports.StateServing)

	// Nor of the registration, for whoever reads the journal next.
	var record struct{ Payload map[string]json.RawMessage }
	mustDecode(h.t, content(h.t, h.path("enrollment/pending.json")), &record)
	for _, gone := range []string{"polling_token", "idempotency_key"} {
		is.Equal(string(record.Payload[gone]), "")
	}
}

func TestAnInstallationIsFinished(t *testing.T) {
	for moment, test := range map[string]struct {
		completed []string // replacements of records
		kept      int64    // how often the present files are kept: not when they are a mixture
	}{
		"bundle-arriving":    {[]string{"enrollment/bundle.json"}, 1},
		"bundle-received":    {nil, 1},
		"installing":         {nil, 0},
		"renewal-received":   {nil, 1},
		"renewal-installing": {nil, 0},
		"renewal-leftovers":  {nil, 0},
	} {
		t.Run(moment, func(t *testing.T) {
			takeOver(t, moment, func(t *testing.T, is *is.I, h *host) {
				h.atManager()
				var leaf *x509.Certificate
				switch moment {
				case "bundle-arriving":
					_, leaf = h.received("enrollment/bundle.json.new")
				case "renewal-leftovers":
					leaf = h.leaf("certs/server.pem")
				default:
					_, leaf = h.received("enrollment/bundle.json")
				}
				for range 2 { // and nothing happens to it at the next start
					a := h.start()
					h.installed(a, leaf)
					a.stop()
				}
				a := h.start()
				pass(10 * time.Minute)
				h.installed(a, leaf)
				is.Equal(len(h.servers.asked()), 0) // the manager was not asked for a certificate
				is.Equal(h.files.kept.Load(), test.kept)
				h.expectRecovered(test.completed...)
			})
		})
	}
}

func TestDenialsAreCountedOn(t *testing.T) {
	takeOver(t, "denied", func(t *testing.T, is *is.I, h *host) {
		h.atManager()
		h.servers.answer = registers("denied")
		a := h.start()
		st, note := a.status(), h.retryOf("poll")
		is.Equal(st.Issuer.State, ports.IssuerStateDenied)
		is.True(st.Issuer.Since.Equal(note.Since))                            // when the former release met it
		is.True(strings.Contains(h.log.String(), "class=operator attempt=1")) // why it is held back
		pass(time.Hour)
		registered := h.servers.got(registerPath)
		is.Equal(len(registered), 2)
		is.True(registered[0].at.Sub(note.LastAttempt) >= leastAfterAttempt)
		is.True(registered[1].at.Sub(registered[0].at) >= leastSecondWait) // the second denial, not the first
	})
}

func TestWhatIsNotOfferedIsNotAskedForAgain(t *testing.T) {
	takeOver(t, "not-renewed", func(t *testing.T, is *is.I, h *host) {
		h.atManager()
		h.servers.answer = func(q request) answer {
			if q.path == registerPath {
				return answer{http.StatusConflict, `{"detail": "this host exists already"}`}
			}
			return answer{http.StatusNotFound, ""}
		}
		a := h.start()
		is.Equal(a.status().Issuer.State, ports.IssuerStateConflict)
		h.serves(h.leaf("certs/server.pem"))
		pass(time.Hour)
		asked := h.servers.asked()
		is.Equal(len(asked), 2)
		is.True(!slices.ContainsFunc(asked, func(q request) bool { return q.path != registerPath })) // nothing but registrations
		is.True(asked[0].at.Sub(h.retryOf("register").LastAttempt) >= leastAfterAttempt)
		is.True(asked[1].at.Sub(asked[0].at) >= leastSecondWait)
	})
}

// How each moment looks to the status command while no agent runs; looking
// changes nothing.
func TestTheStatusFromDisk(t *testing.T) {
	for moment, want := range map[string]struct {
		site    ports.SiteState
		manager ports.IssuerState
		cert    ports.CertificateStatus
	}{
		"enrolled":                 {ports.SiteStateEnrolled, ports.IssuerStateApproved, ports.CertValid},
		"key-arriving":             {ports.SiteStateEnrolled, ports.IssuerStateRetrying, ports.CertMissing},
		"site-answer-lost":         {ports.SiteStateRetrying, ports.IssuerStateRetrying, ports.CertMissing},
		"refused":                  {ports.SiteStateEnrolled, ports.IssuerStateRetrying, ports.CertMissing},
		"relay-retry-after":        {ports.SiteStateEnrolled, ports.IssuerStateRetrying, ports.CertMissing},
		"retry-after":              {ports.SiteStateRetrying, ports.IssuerStateRetrying, ports.CertMissing},
		"registration-answer-lost": {ports.SiteStateRetrying, ports.IssuerStateRetrying, ports.CertMissing},
		"pending":                  {ports.SiteStateRetrying, ports.IssuerStatePending, ports.CertMissing},
		"pending-retry-after":      {ports.SiteStateRetrying, ports.IssuerStatePending, ports.CertMissing},
		"denied":                   {ports.SiteStateRetrying, ports.IssuerStateDenied, ports.CertMissing},
		"bundle-arriving":          {ports.SiteStateRetrying, ports.IssuerStatePending, ports.CertMissing},
		"bundle-received":          {ports.SiteStateRetrying, ports.IssuerStatePending, ports.CertMissing},
		"installing":               {ports.SiteStateRetrying, ports.IssuerStatePending, ports.CertMissing},
		"renewal-received":         {ports.SiteStateRetrying, ports.IssuerStateApproved, ports.CertValid},
		"renewal-installing":       {ports.SiteStateRetrying, ports.IssuerStateRetrying, ports.CertKeyMismatch},
		"renewal-leftovers":        {ports.SiteStateRetrying, ports.IssuerStateApproved, ports.CertValid},
		"renewal-retry-after":      {ports.SiteStateRetrying, ports.IssuerStateRetrying, ports.CertExpiringSoon},
		"not-renewed":              {ports.SiteStateRetrying, ports.IssuerStateConflict, ports.CertExpiringSoon},
	} {
		t.Run(moment, func(t *testing.T) {
			takeOver(t, moment, func(t *testing.T, is *is.I, h *host) {
				h.atSite().atManager()
				st := h.fromDisk()
				is.Equal(st.State, ports.StateStopped)
				is.Equal(st.Blocked, "")
				is.Equal(st.MachineUID, recordedUID)
				is.Equal(st.Site.State, want.site)
				is.Equal(st.Issuer.State, want.manager)
				is.Equal(st.Certificate.Status, want.cert)
				for _, name := range h.all() {
					h.isAsRecorded(name)
				}
				h.expectRecovered()
			})
		})
	}
}
