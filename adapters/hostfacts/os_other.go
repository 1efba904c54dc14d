//go:build !linux && !darwin && !windows

package hostfacts

import (
	"runtime"

	"github.com/muster-agent/muster/ports"
)

func osDetails(string) ports.OSDetails {
	return ports.OSDetails{Distro: runtime.GOOS, Name: runtime.GOOS}
}
