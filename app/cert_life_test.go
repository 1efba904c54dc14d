package app_test

import (
	"context"
	"crypto/x509"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

func TestAHostGetsItsCertificateAndKeepsIt(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.ApproveAfter = 3
		const lifetime = 9 * 24 * time.Hour // the files are looked at every hour of it
		c.manager.Lifetime = lifetime
		r := c.start()
		c.expectCertificate(r, ports.CertMissing, ports.IssuerStatePending)
		r.expect(ports.StatePending)
		pass(5 * time.Minute)
		c.expectCertificate(r, ports.CertValid, ports.IssuerStateApproved)
		r.expect(ports.StateServing)
		is.Equal(c.manager.Count(memory.Register), 1)
		first := c.serial()
		is.True(first != "")
		is.Equal(c.logged("certs.installed"), 1)
		use := c.listener.InUse()
		_, err := use.Certificate.Leaf.Verify(x509.VerifyOptions{
			Roots: use.Roots, CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		is.NoErr(err) // a peer of the same CA that sends only its leaf

		for range 3 {
			pass(lifetime + time.Hour)
			r.expect(ports.StateServing)
		}
		is.True(c.serial() != first)
		is.Equal(c.manager.Count(memory.Register), 1)
		renewals := c.manager.Count(memory.Renew)
		is.True(renewals >= 4 && renewals <= 6) // after 17/30 to 2/3 of it each
		r.stop()

		r = c.start() // a restart changes nothing
		r.expect(ports.StateServing)
		is.Equal(c.manager.Count(memory.Register), 1)
		is.Equal(c.manager.Count(memory.Renew), renewals)
	})
}

func TestAWaitForApprovalSurvivesRestarts(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.Manual = true
		for range 10 {
			r := c.start()
			pass(10 * time.Minute)
			r.expect(ports.StatePending)
			r.stop()
		}
		r := c.start()
		is.Equal(c.manager.Count(memory.Register), 1)
		polls := r.Status().Issuer.Polls
		is.True(polls >= 90 && polls <= 130) // counted on
		is.True(c.logged("manager.resumed") == 10)
		c.approve()
		pass(2 * time.Minute)
		r.expect(ports.StateServing)
		is.Equal(c.manager.Count(memory.Register), 1)
	})
}

func TestPollsUsedUpBeginAnotherRoundWithTheSameToken(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.Manual = true
		c.settings.MaxPollAttempts = 5
		r := c.start()
		pass(2 * time.Hour)
		r.expect(ports.StatePending)
		is.Equal(c.manager.Count(memory.Register), 1)
		is.True(c.manager.Count(memory.Poll) > 50)
	})
}

func TestDeniedIsShownAndRegistersAgainAfterAnOperatorsWait(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.Manual = true
		r := c.start()
		is.NoErr(c.manager.Deny(c.machineID()))
		pass(2 * time.Minute)
		r.expect(ports.StateBlocked)
		is.Equal(r.Status().Issuer.State, ports.IssuerStateDenied)
		is.Equal(c.logged("enroll.denied"), 1)
		pass(20 * time.Minute)
		is.Equal(c.manager.Count(memory.Register), 2)
		r.expect(ports.StatePending)
	})
}

func TestATokenThatIsNotKnownRegistersAgain(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.Manual = true
		r := c.start()
		is.NoErr(c.manager.Remove(c.machineID()))
		pass(3 * time.Minute)
		is.Equal(c.manager.Count(memory.Register), 2)
		r.expect(ports.StatePending)
	})
}

func TestAHostThatTheManagerKnowsIsAConflict(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		r := c.start()
		r.expect(ports.StateServing)
		r.stop()
		c.disk.AlterCertificates(func(f *ports.FoundSet) { f.Server.PEM = f.Server.PEM[:100] })
		r = c.start()
		c.expectCertificate(r, ports.CertCorrupt, ports.IssuerStateConflict)
		r.expect(ports.StateBlocked)
		is.True(strings.Contains(r.Status().Issuer.LastError, "remove or re-approve"))
		registrations := c.manager.Count(memory.Register)
		pass(10 * time.Minute)
		is.Equal(c.manager.Count(memory.Register), registrations) // class operator
		c.approve()
		pass(2 * time.Hour)
		r.expect(ports.StateServing)
	})
}

func TestAManagerThatIgnoresTheCSR(t *testing.T) {
	liveAtManager(t, func(t *testing.T, _ *is.I, c *certLife) {
		c.manager.IgnoreCSR = true
		r := c.start()
		r.expect(ports.StateServing)
	})
}

func TestAManagerThatDoesNotRenewIsRegisteredAtAgainWhileTheCertificateServes(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.NoRenew = true
		r := c.start()
		first := c.serial()
		pass(61 * 24 * time.Hour)
		// The host exists: an operator must re-approve it, and there is time.
		r.expect(ports.StateServing)
		is.Equal(r.Status().Issuer.State, ports.IssuerStateConflict)
		is.Equal(c.serial(), first)
		renewals := c.manager.Count(memory.Renew)
		is.Equal(renewals, 1) // asked once
		pass(24 * 24 * time.Hour)
		r.expect(ports.StateBlocked) // less than the threshold is left
		c.approve()
		pass(12 * time.Hour)
		r.expect(ports.StateServing)
		is.True(c.serial() != first)
	})
}

func TestAManagerThatIsDown(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.Lifetime = 9 * 24 * time.Hour // each try costs a key
		var down atomic.Bool
		c.manager.OnRegister = func(_ context.Context, _ ports.IssueRequest, serve func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome] {
			if down.Load() {
				return ports.Answer[ports.SubmitOutcome]{Outcome: ports.Unavailable{Reason: "connection refused"}}
			}
			return serve()
		}
		c.manager.OnRenew = func(_ context.Context, _ []byte, serve func() ports.Answer[ports.RenewOutcome]) ports.Answer[ports.RenewOutcome] {
			if down.Load() {
				return ports.Answer[ports.RenewOutcome]{Outcome: ports.Unavailable{Reason: "connection refused"}}
			}
			return serve()
		}
		down.Store(true)
		r := c.start()
		pass(time.Hour)
		r.expect(ports.StateEnrolling)
		registrations := c.manager.Requests()
		is.True(len(registrations) >= 10)
		for _, request := range registrations {
			is.Equal(request.Submit.IdempotencyKey, registrations[0].Submit.IdempotencyKey) // the same over transient failures
		}
		down.Store(false)
		pass(6 * time.Minute)
		r.expect(ports.StateServing)

		// And at a renewal: the certificate serves on, and is renewed in time.
		down.Store(true)
		pass(6*24*time.Hour + time.Hour)
		is.Equal(r.Status().Certificate.Status, ports.CertExpiringSoon)
		down.Store(false)
		pass(6 * time.Minute)
		is.Equal(r.Status().Certificate.Status, ports.CertValid)
	})
}

func TestAnExpiredCertificateIsEnrolledForAgain(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.start().stop()
		is.NoErr(c.manager.Remove(c.machineID()))
		pass(100 * 24 * time.Hour) // switched off for longer than it is valid
		r := c.start()
		r.expect(ports.StateServing)
		is.Equal(c.manager.Count(memory.Register), 2)
	})
}

func TestNothingIsAskedWhereTheAnswerCouldNotBeStored(t *testing.T) {
	for name, test := range map[string]struct {
		faults   memory.Faults
		requests int // meanwhile
	}{
		"the key":    {memory.Faults{SaveKey: ports.ErrNotWritten}, 0},
		"the note":   {memory.Faults{SaveRetries: ports.ErrNotWritten}, 0},
		"the record": {memory.Faults{SavePending: ports.ErrNotWritten}, 0},
		"the bundle": {memory.Faults{ReserveBundle: ports.ErrNotWritten}, 1}, // registered, and not polled
	} {
		t.Run(name, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
				c.disk.Inject(test.faults)
				r := c.start()
				pass(time.Hour)
				r.expect(ports.StateEnrolling)
				is.Equal(len(c.manager.Requests()), test.requests)
				c.disk.Inject(memory.Faults{})
				pass(6 * time.Minute)
				r.expect(ports.StateServing)
				is.Equal(c.manager.Count(memory.Register), 1)
			})
		})
	}
}

func TestABundleThatCannotBeStoredAtFirstIsNotLost(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.disk.Inject(memory.Faults{SaveBundle: ports.ErrNotWritten})
		r := c.start()
		pass(time.Hour)
		c.disk.Inject(memory.Faults{})
		pass(6 * time.Minute)
		r.expect(ports.StateServing)
		is.Equal(c.manager.Count(memory.Register), 1)
	})
}

func TestARenewalThatCannotBeStoredAtFirstIsNotInstalledBefore(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.start()
		first := c.serial()
		c.disk.Inject(memory.Faults{SaveBundle: ports.ErrNotWritten})
		pass(61 * 24 * time.Hour)
		is.Equal(c.manager.Count(memory.Renew), 1)
		is.Equal(c.serial(), first)
		c.disk.Inject(memory.Faults{})
		pass(6 * time.Minute)
		is.True(c.serial() != first)
		is.Equal(c.manager.Count(memory.Renew), 1) // the answer was kept
	})
}

func TestCertificatesPlacedByHandAreServedAndNotRenewed(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.start().stop() // from a manager
		c.settings.ManagerURL = nil
		c.change(func(w *app.Deps) { w.Issuer, w.Revocations = nil, nil })
		r := c.start()
		r.expect(ports.StateServing)
		is.Equal(r.Status().Issuer.State, ports.IssuerStateNotConfigured)
		c.disk.AlterCertificates(func(f *ports.FoundSet) { f.CRL.PEM = []byte("no list") })
		pass(5 * time.Hour)
		r.expect(ports.StateServing)
		is.Equal(strings.Count(c.log.String(), "nobody is refused because of the revocation list"), 1)
		pass(91 * 24 * time.Hour)
		r.expect(ports.StateBlocked)
		is.Equal(r.Status().Certificate.Status, ports.CertExpired)
	})
}

func TestValidFilesCountAsEnrolled(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.start().stop()
		registrations := c.manager.Count(memory.Register)
		c.disk.Remove(memory.Pending)
		r := c.start()
		r.expect(ports.StateServing)
		is.Equal(c.manager.Count(memory.Register), registrations)
	})
}

func TestTheRevocationListIsFetchedEveryDay(t *testing.T) {
	liveAtManager(t, func(t *testing.T, _ *is.I, c *certLife) {
		c.start()
		pass(30 * 24 * time.Hour)
		if n := c.manager.Count(memory.CRL); n < 29 || n > 70 {
			t.Errorf("fetched %d times in 30 days", n)
		}
	})
}

func TestARevokedCertificateIsNotServed(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		r := c.start()
		r.expect(ports.StateServing)
		is.NoErr(c.manager.Revoke(c.machineID()))
		pass(25 * time.Hour)
		c.expectCertificate(r, ports.CertRevoked, ports.IssuerStateConflict)
		is.Equal(c.serial(), "")
		c.heals(r)
	})
}

func TestFilesDamagedWhileTheAgentRunsAreReplacedAndTheGoodOneServesOn(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		r := c.start()
		serial := c.serial()
		c.disk.AlterCertificates(func(f *ports.FoundSet) { f.Server.PEM = nil })
		pass(2 * time.Hour)
		c.expectCertificate(r, ports.CertCorrupt, ports.IssuerStateConflict)
		is.Equal(c.serial(), serial) // from memory
		c.heals(r)
		is.True(c.serial() != serial)
	})
}

// Until then it is sent to no other manager either.
func TestATokenIsKeptUntilAnotherManagerHasGivenOne(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.Manual = true
		c.start().stop()
		here := c.settings.ManagerURL
		working := c.manager.OnRegister
		c.manager.OnRegister = isDown
		c.settings.ManagerURL = mustParse(t, "https://typo.example.org")
		registrations, polls := c.manager.Count(memory.Register), c.manager.Count(memory.Poll)
		r := c.start()
		pass(time.Hour)
		r.stop()
		is.True(c.manager.Count(memory.Register) > registrations)
		is.Equal(c.manager.Count(memory.Poll), polls)
		c.manager.OnRegister = working
		c.settings.ManagerURL = mustParse(t, here.String()+"/api/v1/") // the same one
		registrations = c.manager.Count(memory.Register)
		r = c.start()
		c.approve()
		pass(5 * time.Minute)
		r.expect(ports.StateServing)
		is.Equal(c.manager.Count(memory.Register), registrations)
	})
}

func TestRenewFrameRenewsBeforeItIsDue(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.atSite()
		r := c.start()
		r.expect(ports.StateConnected)
		first := c.serial()
		c.relay.Last().Push(ports.RelayFrame{Type: ports.FrameRenewCertificates})
		pass(time.Minute)
		is.True(c.serial() != first)
		second := c.serial()
		c.relay.Last().Push(ports.RelayFrame{Type: ports.FrameRenewCertificates})
		pass(time.Minute)
		is.Equal(c.serial(), second)      // once an hour
		is.Equal(len(c.relay.Conns()), 1) // undisturbed
	})
}

func TestEnrollCommandAtAManager(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*certLife)
		options app.EnrollOptions
		code    exitcode.Code
		says    string
	}{
		"approved":        {func(*certLife) {}, app.EnrollOptions{}, exitcode.Clean, "certificate is installed"},
		"approved later":  {func(c *certLife) { c.manager.ApproveAfter = 5 }, app.EnrollOptions{}, exitcode.Clean, "operator must approve"},
		"denied":          {denyAll, app.EnrollOptions{}, exitcode.Error, "denied"},
		"conflict":        {func(c *certLife) { c.manager.OnRegister = exists }, app.EnrollOptions{}, exitcode.Error, "remove or re-approve"},
		"polls used up":   {func(c *certLife) { c.manager.Manual = true; c.settings.MaxPollAttempts = 3 }, app.EnrollOptions{}, exitcode.InProgress, "used up"},
		"--wait over":     {func(c *certLife) { c.manager.Manual = true }, app.EnrollOptions{Wait: 10 * time.Minute, Patient: true}, exitcode.InProgress, "operator must approve"},
		"down":            {func(c *certLife) { c.manager.OnRegister = isDown }, app.EnrollOptions{}, exitcode.Error, "Given up after 5 tries"},
		"enrolled before": {func(c *certLife) { c.enroll(c.t.Context(), app.EnrollOptions{}) }, app.EnrollOptions{}, exitcode.Clean, "valid until"},
	} {
		t.Run(name, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, _ *is.I, c *certLife) {
				test.prepare(c)
				code, said := c.enroll(t.Context(), test.options)
				if code != test.code || !strings.Contains(said, test.says) {
					t.Errorf("code %d, want %d; it said, without %q:\n%s\n%s", code, test.code, test.says, said, &c.log)
				}
			})
		})
	}
}

// An issuer may hand its CA certificates out apart from the certificate.
func TestAnIssuerThatHandsItsCAOutApart(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.CAApart = true
		var away atomic.Bool
		away.Store(true)
		c.manager.OnCA = func(_ context.Context, serve func() ports.Answer[ports.CAOutcome]) ports.Answer[ports.CAOutcome] {
			if away.Load() {
				return ports.Answer[ports.CAOutcome]{Outcome: ports.Unavailable{Reason: "it is away"}}
			}
			return serve()
		}
		r := c.start()
		c.expectCertificate(r, ports.CertMissing, ports.IssuerStateRetrying) // the bundle waits in the journal
		polls := c.manager.Count(memory.Poll)
		r.stop()
		r = c.start()
		away.Store(false)
		pass(10 * time.Minute)
		c.expectCertificate(r, ports.CertValid, ports.IssuerStateApproved)
		is.Equal(c.manager.Count(memory.Poll), polls) // it was not asked for again
		pass(80 * 24 * time.Hour)
		c.expectCertificate(r, ports.CertValid, ports.IssuerStateApproved)
		is.True(c.manager.Count(memory.Renew) > 0)                                 // renewed since
		is.Equal(c.manager.Count(memory.CA) > c.manager.Count(memory.Renew), true) // and asked for its CA each time
	})
}

func TestACertificateThatIsNotThereHasNoDates(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.ApproveAfter = 2
		c.start()
		is.Equal(c.logged("certs.status"), 1)
		for _, attr := range []string{"not_after", "renew_at", "serial"} {
			is.True(!strings.Contains(c.log.String(), attr))
		}
		pass(5 * time.Minute)
		for line := range strings.Lines(c.log.String()) {
			if strings.Contains(line, "event=certs.status status=valid") {
				is.True(strings.Contains(line, " not_after=") && strings.Contains(line, " renew_at=") && strings.Contains(line, " serial="))
				return
			}
		}
		t.Errorf("the certificate is not said to be valid:\n%s", &c.log)
	})
}

func TestABundleThatIsTooSmallForACertificateIsKeptLikeAnyOtherThatIsNoGood(t *testing.T) {
	bundle := ports.Bundle{CA: []byte("x"), Cert: []byte("y"), Key: ports.NewSecret("z")}
	for name, test := range map[string]struct {
		faults memory.Faults
		kept   int
		says   string
	}{
		"kept":           {memory.Faults{}, 1, "it is kept in memory/rejected/1"},
		"cannot be kept": {memory.Faults{RejectBundle: ports.ErrNotWritten}, 0, "it could not be put aside"},
	} {
		t.Run(name, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
				c.disk.Inject(test.faults)
				c.manager.OnPoll = answers(ports.IssueReceived{Received: memory.Encode(ports.Issued{Bundle: bundle})}, "")
				code, said := c.enroll(t.Context(), app.EnrollOptions{})
				is.Equal(code, exitcode.Error)
				is.Equal(len(c.disk.Rejected()), test.kept)
				var told string
				for line := range strings.Lines(said) {
					if strings.Contains(line, "cannot be used") {
						told = line
					}
				}
				if !strings.Contains(told, test.says) || !strings.HasSuffix(told, "have manager.example.org issue another and look at its CA.\n") {
					t.Errorf("it is not said in one line, with %q:\n%s", test.says, said)
				}
			})
		})
	}
}
