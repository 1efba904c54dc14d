//go:build windows_real

package hwid

import (
	"testing"

	"github.com/matryer/is"
)

// TestRealSignals needs Windows itself, on hardware or in a virtual machine
// with a disk that has a serial; as an administrator and as an ordinary user.
func TestRealSignals(t *testing.T) {
	is := is.New(t)
	signals, err := New("/").Read(t.Context())
	is.NoErr(err)
	is.True(signals.SystemUUID.Value() != "")
	is.True(signals.DiskSerial.Value() != "")
	is.True(signals.OSMachineID.Value() != "")
	is.True(!signals.Container)
}
