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

func TestEnrollCommandThatDoesNotWaitAsksTheSiteOnce(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(context.Context, ports.SiteRequest) ports.Answer[ports.SiteOutcome]
		code   exitcode.Code
		says   string
		most   time.Duration
	}{
		"enrolled": {nil, exitcode.Clean, "the key is stored", 0},
		"pending":  {always(ports.SiteCollisionPending{}), exitcode.InProgress, "operator must confirm", 0},
		"rejected": {always(ports.SiteRejected{}), exitcode.Error, "MUSTER_ENROLLMENT_KEY", 0},
		"down":     {always(ports.SiteTransient{Reason: "the server is down"}), exitcode.Error, "he server is down", 0},
		"silent":   {memory.SilentSite, exitcode.Error, "The wait is over", 30 * time.Second},
		"enrolled slowly": {func(ctx context.Context, _ ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
			select {
			case <-ctx.Done():
				return ports.Answer[ports.SiteOutcome]{}
			case <-time.After(29 * time.Second):
			}
			return ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteEnrolledNew{Key: ports.NewSecret("cak_aaaaaaaaaaaaaaaaaaaa")}}
		}, exitcode.Clean, "the key is stored", 29 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				l.site.Answer = test.answer
				began := time.Now()
				code, said := l.once()
				if code != test.code || !strings.Contains(said, test.says) || strings.Contains(said, "again in") {
					t.Errorf("code %d, want %d; it said:\n%s", code, test.code, said)
				}
				is.Equal(len(l.site.Requests()), 1)
				within(t, "the command", time.Since(began), 0, test.most)
			})
		})
	}
}

func TestEnrollCommandGoesOnStoringWhatItReceived(t *testing.T) {
	for name, options := range map[string]app.EnrollOptions{
		"however short its patience": {Wait: time.Second, Patient: true},
		"as long as it is to wait":   {},
	} {
		t.Run(name, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
				c.disk.Inject(memory.Faults{SaveBundle: ports.ErrNotWritten})
				time.AfterFunc(time.Hour, func() { c.disk.Inject(memory.Faults{}) })
				code, _ := c.enroll(t.Context(), options)
				is.Equal(code, exitcode.Clean)
				is.True(c.logged("enroll.retry") > 5)
				is.Equal(c.manager.Count(memory.Register), 1)
			})
		})
	}
}

func TestEnrollCommandThatDoesNotWaitAsksTheManagerOnce(t *testing.T) {
	for name, test := range map[string]struct {
		prepare         func(*certLife)
		code            exitcode.Code
		says            string
		register, polls int
	}{
		"approved": {func(*certLife) {}, exitcode.Clean, "certificate is installed", 1, 1},
		"pending":  {func(c *certLife) { c.manager.Manual = true }, exitcode.InProgress, "operator must approve", 1, 1},
		"pending still": {func(c *certLife) {
			c.manager.Manual = true
			c.once()
		}, exitcode.InProgress, "operator must approve", 1, 2},
		"down":     {func(c *certLife) { c.manager.OnRegister = isDown }, exitcode.Error, "manager is down", 1, 0},
		"conflict": {func(c *certLife) { c.manager.OnRegister = exists }, exitcode.Error, "remove or re-approve", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
				test.prepare(c)
				began := time.Now()
				code, said := c.once()
				if code != test.code || !strings.Contains(said, test.says) || strings.Contains(said, "again in") {
					t.Errorf("code %d, want %d; it said:\n%s", code, test.code, said)
				}
				is.Equal(c.manager.Count(memory.Register), test.register)
				is.Equal(c.manager.Count(memory.Poll), test.polls)
				within(t, "the command", time.Since(began), 0, 0)
			})
		})
	}
}
