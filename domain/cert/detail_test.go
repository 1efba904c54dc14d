package cert

import (
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// What to do about missing files depends on whether somebody asks for them.
func TestTheAdviceOnMissingFiles(t *testing.T) {
	missing := ports.FoundFile{Path: "ca.pem", Err: ports.FileMissing{}}
	for managed, want := range map[bool]string{true: "'muster status' says how their request stands", false: "Put them there, or set MUSTER_MANAGER_URL"} {
		j := Judge(Files{CA: missing}, time.Now(), Options{Managed: managed})
		is.New(t).Equal(j.Status, ports.CertMissing)
		is.New(t).True(strings.Contains(j.Detail, want)) // the advice for the state at hand
	}
}
