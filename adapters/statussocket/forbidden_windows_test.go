//go:build !windows_real

package statussocket

import "github.com/muster-agent/muster/ports"

// forbidden is nobody: Wine lets every caller in.
func forbidden(string) ports.StatusClient { return nil }
