//go:build unix && !linux

package statussocket

import (
	"testing"

	"github.com/muster-agent/muster/ports"
)

// forbidden is nobody: root may ask everywhere, and a thread cannot be another
// user by itself.
func forbidden(*testing.T, string) ports.StatusClient { return nil }
