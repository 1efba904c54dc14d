package app_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

// A command that is told to stop while an issuer is silent says so in a
// sentence.
func TestRenewCertsThatIsStoppedSaysSo(t *testing.T) {
	silentSubmit := func(ctx context.Context, _ ports.IssueRequest, _ func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome] {
		<-ctx.Done()
		return ports.Answer[ports.SubmitOutcome]{}
	}
	for name, tt := range map[string]struct {
		prepare func(*certLife)
		want    ports.RenewEnd
	}{
		"registering": {func(c *certLife) { c.manager.OnRegister = silentSubmit }, ports.RenewFailed},
		"polling": {func(c *certLife) {
			c.manager.Manual = true
			c.start().stop()
			c.manager.OnPoll = silentSubmit
		}, ports.RenewPending},
		"renewing": {func(c *certLife) {
			c.start().stop()
			time.Sleep(80 * 24 * time.Hour)
			c.manager.OnRenew = func(ctx context.Context, _ []byte, _ func() ports.Answer[ports.RenewOutcome]) ports.Answer[ports.RenewOutcome] {
				<-ctx.Done()
				return ports.Answer[ports.RenewOutcome]{}
			}
		}, ports.RenewFailed},
	} {
		t.Run(name, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
				tt.prepare(c)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Minute/4, cancel)
				var said []string
				end := app.RenewCertificates(ctx, c.deps(), func(line string) { said = append(said, line) })
				is.Equal(end, tt.want)
				is.Equal(len(said), 1)
				is.True(strings.HasPrefix(said[0], "Stopped: running this again")) // and no lone full stop
			})
		})
	}
}

// A note of the revocation list that could not be written is no matter of the
// relay's.
func TestANoteOfTheListThatCannotBeWrittenIsOfTheCertificates(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		r := c.start()
		r.expect(ports.StateServing)
		c.disk.Inject(memory.Faults{SaveRetries: ports.ErrNotWritten})
		before := c.logged("relay.disconnected")
		pass(25 * time.Hour)
		is.True(c.manager.Count(memory.CRL) > 1) // it was fetched all the same
		is.Equal(c.logged("relay.disconnected"), before)
		is.True(strings.Contains(c.log.String(), `msg="noting an attempt: could not be written" event=certs.status`)) // where it belongs
	})
}
