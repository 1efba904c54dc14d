package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

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
