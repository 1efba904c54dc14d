//go:build windows_real

package envconfig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/adapters/internal/durable"
)

// TestRealTheConfigurationFileKeepsItsAccessList needs Windows itself.
func TestRealTheConfigurationFileKeepsItsAccessList(t *testing.T) {
	is := is.New(t)
	file := filepath.Join(t.TempDir(), "agent.env")
	is.NoErr(os.WriteFile(file, []byte("MUSTER_ENROLLMENT_KEY=cek_aaaaaaaaaaaaaaaa\nMUSTER_LOG_LEVEL=info\n"), 0o600))
	closed, err := windows.SecurityDescriptorFromString("D:P(A;;FA;;;SY)(A;;FA;;;BA)")
	is.NoErr(err)
	dacl, _, err := closed.DACL()
	is.NoErr(err)
	is.NoErr(windows.SetNamedSecurityInfo(file, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil))
	is.NoErr(removeLines(new(durable.Disk), file))
	sd, err := windows.GetNamedSecurityInfo(file, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	is.NoErr(err)
	is.Equal(strings.Replace(sd.String(), "D:PAI", "D:P", 1), closed.String())
}
