package winservice

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"golang.org/x/sys/windows/svc/mgr"
)

// TestTheInstallerRecoversInTheSameWay shows that the installer's own action
// has the numbers that Manager.Install has.
func TestTheInstallerRecoversInTheSameWay(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	packaging := filepath.Join("..", "..", "packaging", "windows")
	source, err := os.ReadFile(filepath.Join(packaging, "handover.c"))
	is.NoErr(err)
	var restarts []string
	for _, action := range recovery {
		is.Equal(action.Type, mgr.ServiceRestart)
		restarts = append(restarts, fmt.Sprintf("{SC_ACTION_RESTART, %d}", action.Delay.Milliseconds()))
	}
	is.True(strings.Contains(string(source), "restarts[] = {"+strings.Join(restarts, ", ")+"};"))
	is.Equal(recoveryReset, 24*time.Hour)
	is.True(strings.Contains(string(source), "#define RESET (24 * 60 * 60)"))
	wxs, err := os.ReadFile(filepath.Join(packaging, "muster.wxs"))
	is.NoErr(err)
	is.True(strings.Contains(string(wxs), `<Custom Action="Recover" After="InstallServices">NOT REMOVE</Custom>`))
}
