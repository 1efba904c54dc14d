package contracttest

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// SignalReader is the suite of ports.SignalReader. fresh makes a reader of a
// machine that does not change meanwhile; several calls may give the same
// machine.
func SignalReader(t *testing.T, fresh func(*testing.T) ports.SignalReader) {
	names(t, "SignalReader")
	t.Run("reads within 5 s and without an error, whatever is missing", func(t *testing.T) {
		quickly(t, 5*time.Second, func() time.Duration {
			start := time.Now()
			if _, err := fresh(t).Read(t.Context()); err != nil {
				t.Fatalf("Read: %v", err)
			}
			return time.Since(start)
		})
	})

	t.Run("says the same each time, as does another reader of the same machine", func(t *testing.T) {
		is := is.New(t)
		reader := fresh(t)
		first, err := reader.Read(t.Context())
		is.NoErr(err)
		again, err := reader.Read(t.Context())
		is.NoErr(err)
		is.True(reflect.DeepEqual(first, again))
		another, err := fresh(t).Read(t.Context())
		is.NoErr(err)
		is.True(reflect.DeepEqual(first, another))
	})

	t.Run("fails at once with the context's error when it is done", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		quickly(t, time.Second, func() time.Duration {
			start := time.Now()
			signals, err := fresh(t).Read(ctx)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Read: %v, want an error of kind context.Canceled", err)
			}
			if signals != (ports.MachineSignals{}) {
				t.Error("there are signals beside the error")
			}
			return time.Since(start)
		})
	})

	t.Run("reads no hardware in a container", func(t *testing.T) {
		signals, err := fresh(t).Read(t.Context())
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		none := ports.Signal{}
		if signals.Container && (signals.SystemUUID != none || signals.BaseboardSerial != none || signals.DiskSerial != none) {
			t.Errorf("system UUID %v, baseboard serial %v, disk serial %v", signals.SystemUUID, signals.BaseboardSerial, signals.DiskSerial)
		}
	})

	t.Run("gives a system UUID in the text form of RFC 9562", func(t *testing.T) {
		signals, err := fresh(t).Read(t.Context())
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		form := regexp.MustCompile(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)
		if uuid := signals.SystemUUID.Value(); uuid != "" && !form.MatchString(uuid) {
			t.Error("it is in another form") // its value is not to be printed
		}
	})

	t.Run("gives no value for what may not be read", func(t *testing.T) {
		signals, err := fresh(t).Read(t.Context())
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		for kind, signal := range map[ports.SignalKind]ports.Signal{
			ports.SignalSystemUUID:      signals.SystemUUID,
			ports.SignalBaseboardSerial: signals.BaseboardSerial,
			ports.SignalDiskSerial:      signals.DiskSerial,
			ports.SignalOSMachineID:     signals.OSMachineID,
		} {
			if signal.Unreadable() && signal.Value() != "" {
				t.Errorf("%s is unreadable and has a value", kind)
			}
		}
	})
}
