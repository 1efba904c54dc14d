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

func TestEnrollCommand(t *testing.T) {
	for name, test := range map[string]struct {
		prepare  func(*life)
		options  app.EnrollOptions
		code     exitcode.Code
		says     string
		requests int
		least    time.Duration // how long it takes
		most     time.Duration
	}{
		"enrolls":       {func(*life) {}, app.EnrollOptions{}, exitcode.Clean, "Enrolled: the key is stored", 1, 0, 0},
		"enrolled":      {func(l *life) { l.enroll(l.t.Context(), app.EnrollOptions{}) }, app.EnrollOptions{}, exitcode.Clean, "Nothing to do", 1, 0, 0},
		"forced":        {func(l *life) { l.enroll(l.t.Context(), app.EnrollOptions{}) }, app.EnrollOptions{Force: true}, exitcode.Clean, "the key is stored", 2, 0, 0},
		"rejected":      {func(l *life) { l.site.Answer = always(ports.SiteRejected{}) }, app.EnrollOptions{}, exitcode.Error, "MUSTER_ENROLLMENT_KEY", 1, 0, 0},
		"conflict":      {func(l *life) { l.site.Answer = always(ports.SiteConflict{}) }, app.EnrollOptions{}, exitcode.Error, "another site", 1, 0, 0},
		"unexpected":    {func(l *life) { l.site.Answer = always(ports.SiteUnexpected{Status: 404}) }, app.EnrollOptions{}, exitcode.Error, "status 404", 1, 0, 0},
		"down":          {func(l *life) { l.site.Answer = always(ports.SiteTransient{Reason: "the server is down"}) }, app.EnrollOptions{}, exitcode.Error, "Given up after 5 tries", 5, 10 * time.Second, 2 * time.Minute},
		"down, patient": {func(l *life) { l.site.Answer = always(ports.SiteTransient{Reason: "the server is down"}) }, app.EnrollOptions{Wait: time.Hour, Patient: true}, exitcode.Error, "he server is down", 0, time.Hour, time.Hour},
		"down for a while, patient": {func(l *life) {
			for range 9 {
				l.site.Script(ports.SiteTransient{Reason: "the server is down"})
			}
		}, app.EnrollOptions{Wait: time.Hour, Patient: true}, exitcode.Clean, "the key is stored", 10, time.Minute, time.Hour},
		"pending for ever": {func(l *life) { l.site.Answer = always(ports.SiteCollisionPending{}) }, app.EnrollOptions{}, exitcode.InProgress, "operator must confirm", 0, 24 * time.Hour, 24 * time.Hour},
		"pending, --wait":  {func(l *life) { l.site.Answer = always(ports.SiteCollisionPending{}) }, app.EnrollOptions{Wait: 10 * time.Minute, Patient: true}, exitcode.InProgress, "operator must confirm", 0, 10 * time.Minute, 10 * time.Minute},
		"pending, --wait over within a request": {func(l *life) {
			l.site.Answer = func(ctx context.Context, _ ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
				select {
				case <-ctx.Done():
					return ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteTransient{Reason: "interrupted"}}
				case <-time.After(10 * time.Second):
					return ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteCollisionPending{}}
				}
			}
		}, app.EnrollOptions{Wait: 75 * time.Second, Patient: true}, exitcode.InProgress, "operator must confirm", 2, 75 * time.Second, 80 * time.Second},
		"pending, then confirmed": {func(l *life) {
			l.site.Script(ports.SiteCollisionPending{}, ports.SiteTransient{Reason: "the server is down"}, ports.SiteCollisionPending{})
		}, app.EnrollOptions{}, exitcode.Clean, "the key is stored", 4, time.Minute, time.Hour},
		"not configured":              {func(l *life) { l.settings.SiteCode = "" }, app.EnrollOptions{}, exitcode.Error, "MUSTER_SITE_CODE", 0, 0, 0},
		"unreadable store":            {func(l *life) { l.disk.Inject(memory.Faults{Load: ports.ErrUnreadable}) }, app.EnrollOptions{Force: true}, exitcode.Error, "cannot be read", 0, 0, 0},
		"a newer version's store":     {func(l *life) { l.disk.Inject(memory.Faults{LoadIdentity: ports.ErrNewerFormat}) }, app.EnrollOptions{}, exitcode.Error, "newer version", 0, 0, 0},
		"a store that is full":        {func(l *life) { l.disk.Inject(memory.Faults{Reserve: ports.ErrNotWritten}) }, app.EnrollOptions{}, exitcode.Error, "othing was sent", 0, 10 * time.Second, 2 * time.Minute},
		"a key that cannot be stored": {func(l *life) { l.disk.Inject(memory.Faults{Save: ports.ErrNotWritten}) }, app.EnrollOptions{}, exitcode.Error, "could not be stored", 1, 10 * time.Second, 5 * time.Minute},
		"a key not stored, impatient": {func(l *life) { l.disk.Inject(memory.Faults{Save: ports.ErrNotWritten}) }, app.EnrollOptions{Wait: time.Second, Patient: true}, exitcode.Error, "could not be stored", 1, 10 * time.Second, 5 * time.Minute},
		"held back by a Retry-After": {func(l *life) {
			l.site.ScriptAnswers(ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteRateLimited{}, RetryAfter: "600"})
			l.start().stop()
		}, app.EnrollOptions{}, exitcode.Clean, "asked not to be called", 2, 9 * time.Minute, 13 * time.Minute},
		"not held back by a rejection": {func(l *life) {
			l.site.Script(ports.SiteRejected{})
			l.start().stop()
		}, app.EnrollOptions{}, exitcode.Clean, "the key is stored", 2, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				test.prepare(l)
				began := time.Now()
				code, said := l.enroll(t.Context(), test.options)
				is.Equal(code, test.code)
				if !strings.Contains(said, test.says) {
					t.Errorf("it did not say %q:\n%s", test.says, said)
				}
				if test.requests > 0 || test.most == 0 {
					is.Equal(len(l.site.Requests()), test.requests)
				}
				within(t, "the command", time.Since(began), test.least, test.most)
			})
		})
	}
}

func TestEnrollCommandStopped(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(context.Context, ports.SiteRequest) ports.Answer[ports.SiteOutcome]
		code   exitcode.Code
	}{
		"while pending":    {always(ports.SiteCollisionPending{}), exitcode.InProgress},
		"while retrying":   {always(ports.SiteTransient{}), exitcode.Clean},
		"during a request": {memory.SilentSite, exitcode.Clean},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				l.site.Answer = test.answer
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				began := time.Now()
				code, _ := l.enroll(ctx, app.EnrollOptions{})
				is.Equal(code, test.code)
				within(t, "the command", time.Since(began), 2*time.Second, 2500*time.Millisecond)
			})
		})
	}
}

func TestAfterAForcedEnrollmentTheServiceUsesTheNewKey(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		old := l.relay.Last().Hello().Key
		l.redialTo(refuseKey(old, ports.RefusedCredentialRevoked))
		pass(time.Hour)
		r.expect(ports.StateBlocked)
		r.stop()
		code, _ := l.enroll(t.Context(), app.EnrollOptions{Force: true})
		is.Equal(code, exitcode.Clean)
		r = l.start()
		r.expect(ports.StateConnected)
	})
}

func TestStatusFromDisk(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		st := l.fromDisk()
		is.Equal(st.State, ports.StateStopped)
		is.Equal(st.MachineUID, "")
		is.Equal(st.Site.State, ports.SiteStateRetrying) // configured, and nothing has happened yet

		l.site.Script(ports.SiteRejected{})
		l.start().stop()
		st = l.fromDisk()
		is.Equal(st.Site.State, ports.SiteStateRejected)
		is.True(strings.Contains(st.Site.LastError, "MUSTER_ENROLLMENT_KEY"))
		is.True(!st.Credential.Present)

		pass(time.Minute)
		r := l.start()
		running := r.Status()
		r.stop()
		st = l.fromDisk()
		is.Equal(st.State, ports.StateStopped)
		is.Equal(st.Site.State, ports.SiteStateEnrolled)
		is.Equal(st.MachineUID, running.MachineUID)
		is.Equal(st.AgentID, running.AgentID)
		is.Equal(st.Credential.Fingerprint, running.Credential.Fingerprint)
		is.Equal(st.Credential.Source, ports.CredentialStored)
		is.Equal(st.Relay.State, ports.RelayStateConnecting)

		l.disk.Inject(memory.Faults{Load: ports.ErrUnreadable})
		is.True(strings.Contains(l.fromDisk().Blocked, "cannot be read"))
		l.settings.SiteCode, l.settings.EnrollmentKey, l.settings.APIKey = "", ports.Secret{}, ports.NewSecret("shared")
		is.True(!l.fromDisk().Credential.Present) // the shared key does not take the place of one that cannot be read
		l.disk.Inject(memory.Faults{})
		is.Equal(l.fromDisk().Credential.Source, ports.CredentialStored)
	})
}
