package app_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

func TestNobodysWishCutsARetryAfterShort(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.OnRegister = answers(ports.IssueBusy{Reason: "it answered 429"}, "3600")
		r := c.start()
		for range 3 {
			pass(time.Minute)
			result, err := r.status.RenewCertificates(t.Context())
			is.NoErr(err)
			is.Equal(result.End, ports.RenewFailed) // no operator's decision is awaited
			is.True(strings.Contains(result.Line, "patience"))
		}
		is.Equal(c.manager.Count(memory.Register), 1)
		r.stop()
		r = c.start()
		pass(time.Minute)
		_, err := r.status.RenewCertificates(t.Context())
		is.NoErr(err)
		is.Equal(c.manager.Count(memory.Register), 1)
		pass(65 * time.Minute)
		is.Equal(c.manager.Count(memory.Register), 2)
	})
}

func TestARestartDoesNotForgetTheRetryAfterOfARenewal(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.manager.OnRenew = func(context.Context, []byte, func() ports.Answer[ports.RenewOutcome]) ports.Answer[ports.RenewOutcome] {
			return ports.Answer[ports.RenewOutcome]{Outcome: ports.Unavailable{Reason: "it is busy"}, RetryAfter: "3600"}
		}
		r := c.start()
		first := c.serial()
		for c.manager.Count(memory.Renew) == 0 {
			pass(time.Hour / 2)
		}
		r.stop()
		for range 5 {
			r = c.start()
			pass(time.Second)
			is.Equal(r.Status().Issuer.LastError, "it is busy")
			is.True(!r.Status().Issuer.NextAttempt.IsZero())
			r.stop()
		}
		is.Equal(c.manager.Count(memory.Renew), 1)
		c.manager.OnRenew = nil
		c.start()
		pass(67 * time.Minute)
		is.Equal(c.manager.Count(memory.Renew), 2)
		is.True(c.serial() != first)
	})
}

// The manager does not renew, and takes the host in again.
func TestAForcedEnrollmentIsSeenThroughThoughTheCertificateIsValid(t *testing.T) {
	takenIn := func(c *certLife) {
		c.manager.NoRenew = true
		c.manager.OnRegister = func(_ context.Context, r ports.IssueRequest, serve func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome] {
			if c.manager.Count(memory.Register) > 1 {
				if err := c.manager.Remove(r.MachineID); err != nil {
					c.t.Error(err)
				}
			}
			return serve()
		}
	}
	t.Run("by a person", func(t *testing.T) {
		liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
			takenIn(c)
			code, _ := c.enroll(t.Context(), app.EnrollOptions{})
			is.Equal(code, exitcode.Clean)
			first := c.serial()
			c.manager.ApproveAfter = 2
			code, said := c.enroll(t.Context(), app.EnrollOptions{Force: true})
			is.Equal(code, exitcode.Clean)
			is.True(strings.Contains(said, "A certificate is installed"))
			is.True(c.serial() != first)
			is.Equal(c.manager.Count(memory.Register), 2)
		})
	})
	t.Run("by the relay", func(t *testing.T) {
		liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
			c.atSite()
			takenIn(c)
			c.manager.ApproveAfter = 2
			c.start()
			pass(5 * time.Minute)
			first := c.serial()
			is.True(first != "")
			c.relay.Last().Push(ports.RelayFrame{Type: ports.FrameRenewCertificates})
			pass(10 * time.Minute)
			is.True(c.serial() != first)
			is.Equal(c.manager.Count(memory.Register), 2)
		})
	})
}

func TestARelayThatIsBusyAfterItRefusedIsStillShownAsRefusing(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.handshake(refuse(""))
		r := l.start()
		pass(time.Hour)
		r.expect(ports.StateBlocked)
		since := r.Status().Relay.Since
		l.handshake(func(context.Context, ports.RelayHello) error {
			return &ports.RelayBusyError{Status: 503, RetryAfter: "3600"}
		})
		pass(10 * time.Minute)
		r.stop()
		r = l.start()
		pass(time.Minute)
		r.expect(ports.StateBlocked)
		is.Equal(r.Status().Relay.State, ports.RelayStateRefused)
		is.Equal(r.Status().Relay.Since.UTC(), since.UTC())
	})
}
