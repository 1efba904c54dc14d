package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/ports"
)

func TestARegistrationThatIsRateLimitedWaitsForAMinuteOrAsLongAsItIsTold(t *testing.T) {
	for header, want := range map[string]struct{ least, most time.Duration }{
		"":    {time.Minute, 67 * time.Second},
		"0":   {time.Minute, 67 * time.Second},
		"5":   {5 * time.Second, 7 * time.Second},
		"300": {5 * time.Minute, 331 * time.Second},
	} {
		t.Run("Retry-After "+header, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, _ *is.I, c *certLife) {
				c.manager.OnRegister = answers(ports.IssueBusy{Reason: "it answered 429"}, header)
				c.start()
				pass(want.most)
				gaps := c.registrations()
				if len(gaps) == 0 {
					t.Fatal("it does not register again")
				}
				within(t, "the first wait", gaps[0], want.least, want.most)
			})
		})
	}
}

func TestAManagerThatForgetsEveryTokenIsAskedEverMoreSlowly(t *testing.T) {
	liveAtManager(t, func(t *testing.T, _ *is.I, c *certLife) {
		c.manager.OnPoll = answers(ports.IssueUnknown{}, "")
		c.manager.OnRegister = answers(ports.IssuePending{Resume: ports.NewSecret("another-token")}, "")
		c.start()
		pass(24 * time.Hour)
		// 5 minutes is the most that class transient waits, 2.5 the mean of it.
		if n := c.manager.Count(memory.Register); n < 250 || n > 900 {
			t.Errorf("%d registrations in a day", n)
		}
	})
}

func TestAHostThatIsDeniedAgainAndAgainWaitsLonger(t *testing.T) {
	liveAtManager(t, func(t *testing.T, _ *is.I, c *certLife) {
		denyAll(c)
		r := c.start()
		pass(10 * time.Minute)
		r.stop()
		c.start() // a restart tries soon, and forgets nothing
		pass(4 * time.Hour)
		gaps := c.registrations()
		if len(gaps) < 3 {
			t.Fatalf("registrations after %v", gaps)
		}
		within(t, "with the restart", gaps[0], 10*time.Minute, 11*time.Minute)
		within(t, "the second wait", gaps[1], 24*time.Minute, 36*time.Minute)
		within(t, "the third wait", gaps[2], 48*time.Minute, 72*time.Minute)
	})
}

func TestARestartForgetsNothingThatTheManagerSaid(t *testing.T) {
	const patience = "300" // seconds
	for name, tt := range map[string]struct {
		prepare func(*certLife)
		state   ports.IssuerState
		overall ports.OverallState
		held    time.Duration // the next start, at most
	}{
		"conflict": {func(c *certLife) { c.manager.OnRegister = exists }, ports.IssuerStateConflict, ports.StateBlocked, 10 * time.Second},
		"unexpected": {func(c *certLife) {
			c.manager.OnRegister = answers(ports.IssueUnexpected{Status: 404}, "")
		}, ports.IssuerStateUnexpected, ports.StateBlocked, 10 * time.Second},
		"denied": {denyAll, ports.IssuerStateDenied, ports.StateBlocked, 10 * time.Second},
		"down, with Retry-After": {func(c *certLife) {
			c.manager.OnRegister = answers(ports.Unavailable{Reason: "it is down"}, patience)
		}, ports.IssuerStateRetrying, ports.StateEnrolling, 331 * time.Second},
		"polled too often": {func(c *certLife) {
			c.manager.OnPoll = answers(ports.Unavailable{Reason: "it answered 503"}, patience)
		}, ports.IssuerStatePending, ports.StatePending, 331 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
				tt.prepare(c)
				r := c.start()
				r.expect(tt.overall)
				before := r.Status().Issuer
				is.Equal(before.State, tt.state)
				is.True(before.LastError != "" && !before.NextAttempt.IsZero())
				r.stop()

				disk := c.fromDisk().Issuer
				is.Equal(disk.State, tt.state)
				is.Equal(disk.LastError, before.LastError)
				is.Equal(disk.NextAttempt.UTC(), before.NextAttempt.UTC())

				asked, logged := len(c.manager.Requests()), len(c.log.String())
				r = c.start()
				r.expect(tt.overall)
				after := r.Status().Issuer
				is.Equal(after.State, tt.state)
				is.Equal(after.LastError, before.LastError)
				within(t, "the wait of the next start", time.Until(after.NextAttempt), time.Second, tt.held)
				is.Equal(len(c.manager.Requests()), asked)
				news := c.log.String()[logged:]
				for _, attribute := range []string{"wait=", "class=", "attempt="} {
					if !strings.Contains(news, attribute) {
						t.Errorf("no %s in the log of a start that waits:\n%s", attribute, news)
					}
				}

				c.settings.ManagerURL = mustParse(t, "https://other.example.org")
				is.Equal(c.fromDisk().Issuer.LastError, "") // what one manager said, another did not
			})
		})
	}
}
