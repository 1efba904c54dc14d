package hwid

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// rawData is RawSMBIOSData.
func rawData(major, minor byte, table []byte) []byte {
	raw := []byte{0, major, minor, 0}
	return append(binary.LittleEndian.AppendUint32(raw, uint32(len(table))), table...)
}

const guid = "5f1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"

// notebook is hardware with everything.
func notebook() *Reader {
	return &Reader{
		Firmware:    func() ([]byte, error) { return rawData(3, 2, laptop()), nil },
		DiskSerials: func() ([]string, error) { return []string{"S3Z9NB0K123456A"}, nil },
		MachineGUID: func() (string, error) { return guid, nil },
		InContainer: func() bool { return false },
	}
}

func nothing() *Reader {
	return &Reader{
		Firmware:    func() ([]byte, error) { return nil, windows.ERROR_INVALID_FUNCTION },
		DiskSerials: func() ([]string, error) { return nil, windows.ERROR_FILE_NOT_FOUND },
		MachineGUID: func() (string, error) { return "", windows.ERROR_FILE_NOT_FOUND },
		InContainer: func() bool { return false },
	}
}

func TestReaderContract(t *testing.T) {
	t.Parallel()
	container := notebook()
	container.InContainer = func() bool { return true }
	for name, reader := range map[string]*Reader{"hardware": notebook(), "nothing": nothing(), "container": container, "this one": New("/")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contracttest.SignalReader(t, func(*testing.T) ports.SignalReader { return reader })
		})
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	whole := ports.MachineSignals{
		SystemUUID: ports.PresentSignal(uuid26), BaseboardSerial: ports.PresentSignal(board),
		DiskSerial: ports.PresentSignal("S3Z9NB0K123456A"), OSMachineID: ports.PresentSignal(guid),
	}
	denied := windows.ERROR_ACCESS_DENIED
	for name, c := range map[string]struct {
		change func(*Reader)
		want   func(*ports.MachineSignals)
	}{
		"all of it": {func(*Reader) {}, func(*ports.MachineSignals) {}},
		"SMBIOS 2.4": {
			func(r *Reader) { r.Firmware = func() ([]byte, error) { return rawData(2, 4, laptop()), nil } },
			func(s *ports.MachineSignals) { s.SystemUUID = ports.PresentSignal(uuid24) },
		},
		"a virtual machine": {
			func(r *Reader) {
				r.Firmware = func() ([]byte, error) {
					return rawData(2, 8, encode(system("QEMU", "Standard PC (Q35 + ICH9, 2009)", wire), endOfTable)), nil
				}
			},
			func(s *ports.MachineSignals) { s.Virtual, s.BaseboardSerial = true, ports.Signal{} },
		},
		"firmware that says nothing": {
			func(r *Reader) { r.Firmware = nothing().Firmware },
			func(s *ports.MachineSignals) { s.SystemUUID, s.BaseboardSerial = ports.Signal{}, ports.Signal{} },
		},
		"half a header": {
			func(r *Reader) { r.Firmware = func() ([]byte, error) { return []byte{0, 3}, nil } },
			func(s *ports.MachineSignals) { s.SystemUUID, s.BaseboardSerial = ports.Signal{}, ports.Signal{} },
		},
		"a table that is cut": {
			func(r *Reader) {
				r.Firmware = func() ([]byte, error) {
					raw := rawData(3, 2, laptop())
					binary.LittleEndian.PutUint32(raw[4:], 1<<31)
					return raw, nil
				}
			},
			func(*ports.MachineSignals) {},
		},
		"a table behind which something lies": {
			func(r *Reader) {
				r.Firmware = func() ([]byte, error) {
					raw := rawData(3, 2, encode(bios("LENOVO", 0), system("LENOVO", "20XW", wire)))
					return append(raw, encode(baseboard("LENOVO", "behind"))...), nil
				}
			},
			func(s *ports.MachineSignals) { s.BaseboardSerial = ports.Signal{} },
		},
		"firmware that is closed": {
			func(r *Reader) { r.Firmware = func() ([]byte, error) { return nil, denied } },
			func(s *ports.MachineSignals) {
				s.SystemUUID, s.BaseboardSerial = ports.UnreadableSignal(), ports.UnreadableSignal()
			},
		},
		"several disks": {
			func(r *Reader) {
				r.DiskSerials = func() ([]string, error) { return []string{"WD-WCC4N0123456", "", "S2BBBB0B000001F"}, nil }
			},
			func(s *ports.MachineSignals) { s.DiskSerial = ports.PresentSignal("S2BBBB0B000001F") },
		},
		"disks without a serial": {
			func(r *Reader) { r.DiskSerials = func() ([]string, error) { return []string{"", ""}, nil } },
			func(s *ports.MachineSignals) { s.DiskSerial = ports.Signal{} },
		},
		"no disk that says so": {
			func(r *Reader) { r.DiskSerials = nothing().DiskSerials },
			func(s *ports.MachineSignals) { s.DiskSerial = ports.Signal{} },
		},
		"disks that are closed": {
			func(r *Reader) { r.DiskSerials = func() ([]string, error) { return nil, denied } },
			func(s *ports.MachineSignals) { s.DiskSerial = ports.UnreadableSignal() },
		},
		"a registry that is closed": {
			func(r *Reader) { r.MachineGUID = func() (string, error) { return "", denied } },
			func(s *ports.MachineSignals) { s.OSMachineID = ports.UnreadableSignal() },
		},
		"a container": {
			func(r *Reader) { r.InContainer = func() bool { return true } },
			func(s *ports.MachineSignals) {
				*s = ports.MachineSignals{OSMachineID: s.OSMachineID, Container: true}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader, want := notebook(), whole
			c.change(reader)
			c.want(&want)
			got, err := reader.Read(t.Context())
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%v %q, %v %q, %v %q, %v %q, virtual %v, container %v, error %v", got.SystemUUID, got.SystemUUID.Value(), got.BaseboardSerial, got.BaseboardSerial.Value(),
					got.DiskSerial, got.DiskSerial.Value(), got.OSMachineID, got.OSMachineID.Value(), got.Virtual, got.Container, err)
			}
		})
	}
}

// A disk that never answers.
func TestReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	reader, over := notebook(), make(chan struct{})
	defer close(over)
	reader.DiskSerials = func() ([]string, error) { <-over; return nil, nil }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := reader.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("Read took %v", took)
	}
}

func TestSerialInADescriptor(t *testing.T) {
	t.Parallel()
	descriptor := func(offset uint32, more string) []byte {
		return append(binary.LittleEndian.AppendUint32(make([]byte, 24), offset), more...)
	}
	for _, c := range []struct {
		descriptor []byte
		want       string
	}{
		{descriptor(40, "12345678----     WD-WCC4N0123456 \x00x"), "WD-WCC4N0123456"},
		{descriptor(28, "0025_38B1_7150_1A2B."), "0025_38B1_7150_1A2B."}, // NVMe; without an end
		{descriptor(28, "\x00"), ""},
		{descriptor(28, ""), ""},
		{descriptor(0, "x"), ""},
		{descriptor(0xffffffff, "x"), ""},
		{descriptor(0x7fffffff, "x"), ""},
		{make([]byte, 20), ""},
		{nil, ""},
	} {
		if got := serialIn(c.descriptor); got != c.want {
			t.Errorf("%q: %q, want %q", c.descriptor, got, c.want)
		}
	}
}

// What Windows, or Wine, says of this machine.
func TestThisMachine(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	id, err := machineGUID()
	is.NoErr(err)
	is.Equal(len(id), len(guid))
	is.True(!strings.ContainsAny(id, "{}"))
	raw, err := firmwareTable()
	is.NoErr(err)
	is.True(len(raw) > rawHeader)
	is.True(!inContainer())
	if _, err := diskSerials(); err != nil {
		t.Logf("no serial of the system disk: %v", err) // Wine has none
	}
}
