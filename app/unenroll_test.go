package app_test

import (
	"errors"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

func TestUnenroll(t *testing.T) {
	declined := errors.New("the person said no")
	for name, test := range map[string]struct {
		faults  memory.Faults
		confirm error
		want    error
		stays   bool // everything
		asked   bool
		removed int
	}{
		"everything goes":                     {asked: true, removed: 7}, // three records and four files
		"a person who says no":                {confirm: declined, want: declined, stays: true, asked: true},
		"a newer version's record":            {faults: memory.Faults{Load: ports.ErrNewerFormat}, want: ports.ErrNewerFormat, stays: true},
		"a record that cannot be read":        {faults: memory.Faults{Load: ports.ErrUnreadable}, asked: true, removed: 7},
		"a state directory that is read only": {faults: memory.Faults{RemoveEnrollment: ports.ErrNotWritten}, want: ports.ErrNotWritten, asked: true, removed: 4},
		"certificates that cannot be removed": {faults: memory.Faults{Erase: ports.ErrNotWritten}, want: ports.ErrNotWritten, asked: true, removed: 7},
	} {
		t.Run(name, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
				c.atSite()
				c.start().stop()
				before := c.fromDisk()
				is.Equal(before.Certificate.Status, ports.CertValid)
				asked := false
				c.disk.Inject(test.faults)
				removed, err := app.Unenroll(t.Context(), memory.OpenStore(c.disk), memory.OpenCertificates(c.disk), func() error {
					asked = true
					return test.confirm
				})
				c.disk.Inject(memory.Faults{})
				is.True(errors.Is(err, test.want))
				is.Equal(asked, test.asked)
				is.Equal(len(removed), test.removed)
				after := c.fromDisk()
				is.Equal(after.AgentID, before.AgentID) // it is the same machine still
				if test.stays {
					is.Equal(after, before)
				}
				if test.removed > 0 {
					is.Equal(after.Certificate.Status, ports.CertMissing)
				}
			})
		})
	}
}
