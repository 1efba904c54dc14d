package hostfacts

import (
	"os"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

func TestOSDetails(t *testing.T) {
	t.Parallel()
	const debian = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
`
	for name, tt := range map[string]struct {
		files map[string]string
		want  ports.OSDetails
	}{
		"nothing": {nil, ports.OSDetails{Distro: "Linux", Name: "linux"}},
		"debian": {
			map[string]string{"etc/os-release": debian, "proc/sys/kernel/osrelease": "6.1.0-18-amd64\n", "usr/lib/os-release": "ID=other\n"},
			ports.OSDetails{Distro: "Debian GNU/Linux", Name: "debian", Version: "12", Codename: "bookworm", Kernel: "6.1.0-18-amd64"},
		},
		"the vendor's file": {
			map[string]string{"usr/lib/os-release": "ID='rocky'\nID_LIKE=\"rhel centos fedora\"\r\nPRETTY_NAME='Rocky Linux 9'\n"},
			ports.OSDetails{Distro: "Rocky Linux 9", Name: "rocky", IDLike: "rhel centos fedora"},
		},
		"quotes": {
			map[string]string{"etc/os-release": "# ID=comment\n  ID = x\nNAME=\"A \\\"b\\\" \\$c \\\\d \x1b[31m\"\nVERSION_ID=1\\.2\nVERSION_CODENAME=\nnonsense\nID_LIKE=\"\n"},
			ports.OSDetails{Distro: `A "b" $c \d [31m`, Name: "linux", Version: "1.2", IDLike: `"`},
		},
	} {
		root := t.TempDir()
		write(t, root, tt.files)
		if got := osDetails(root); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestThisKernel(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	is.NoErr(err)
	is.Equal(osDetails("/").Kernel, strings.TrimSpace(string(release)))
}
