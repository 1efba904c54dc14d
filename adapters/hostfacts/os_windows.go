package hostfacts

import (
	"fmt"

	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/ports"
)

// osDetails asks RtlGetVersion, which unlike GetVersionEx does not depend on
// the program's manifest.
func osDetails(string) ports.OSDetails {
	v := windows.RtlGetVersion()
	version := fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber)
	details := ports.OSDetails{Distro: "Windows", Name: "windows", Version: version, Kernel: version}
	const workstation = 1 // VER_NT_WORKSTATION
	if v.ProductType != workstation {
		details.Distro = "Windows Server"
	}
	return details
}
