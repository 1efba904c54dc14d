package app_test

import (
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

var bundleWithoutPEM = memory.Encode(ports.Issued{Bundle: ports.Bundle{CA: []byte("x"), Cert: []byte("y"), Key: ports.NewSecret("z")}})

func TestABundleThatIsTooSmallForACertificateIsKeptLikeAnyOtherThatIsNoGood(t *testing.T) {
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
				c.manager.OnPoll = answers(ports.IssueReceived{Received: bundleWithoutPEM}, "")
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
