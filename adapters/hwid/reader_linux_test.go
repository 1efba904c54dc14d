package hwid

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestReaderContract(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]func(*testing.T) ports.SignalReader{
		"hardware":  func(t *testing.T) ports.SignalReader { return notebook().reader(t) },
		"nothing":   func(t *testing.T) ports.SignalReader { return files{}.reader(t) },
		"no rights": func(t *testing.T) ports.SignalReader { return notebook().reader(t, "") },
		"container": func(t *testing.T) ports.SignalReader { return notebook().with(files{".dockerenv": " "}).reader(t) },
		"no root":   func(t *testing.T) ports.SignalReader { return New(filepath.Join(t.TempDir(), "absent")) },
		"this one":  func(t *testing.T) ports.SignalReader { return New("/") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contracttest.SignalReader(t, fresh)
		})
	}
}

func TestHardware(t *testing.T) {
	t.Parallel()
	want := ports.MachineSignals{
		SystemUUID:      ports.PresentSignal(uuid26),
		BaseboardSerial: ports.PresentSignal(board),
		DiskSerial:      ports.PresentSignal(disk),
		OSMachineID:     ports.PresentSignal(machineID),
	}
	withoutValues := files{id + "product_uuid": "", id + "board_serial": "", id + "sys_vendor": "", id + "product_name": ""}
	for name, change := range map[string]files{
		"all of it":               nil,
		"SMBIOS 3":                withoutValues,
		"SMBIOS 2.8":              withoutValues.plus(raw+"smbios_entry_point", string(entryPoint21(2, 8, 0x1f, 100))),
		"its length wrong":        withoutValues.plus(raw+"smbios_entry_point", string(entryPoint21(2, 6, 0x1e, 100))),
		"no raw tables":           {raw + "smbios_entry_point": "", raw + "DMI": ""},
		"no table":                {raw + "DMI": ""},
		"unknown entry point":     {raw + "smbios_entry_point": "_DMI_0123456789"},
		"wrong checksum":          {raw + "smbios_entry_point": "_SM3_" + strings.Repeat("\x01", 0x13)},
		"empty table":             {raw + "DMI": "\x7f\x04\x00\x00\x00\x00"},
		"space around the serial": {nvme + "/serial": "\n" + disk + " \r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := notebook().with(change).signals(t); !reflect.DeepEqual(got, want) {
				t.Errorf("%q %q %q %q virtual %v container %v", got.SystemUUID.Value(), got.BaseboardSerial.Value(), got.DiskSerial.Value(), got.OSMachineID.Value(), got.Virtual, got.Container)
			}
		})
	}
}

// The same machine has the same UUID by the raw table and by what the kernel
// makes of it, before and after SMBIOS 2.6.
func TestOldFirmware(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	old := notebook().with(files{raw + "smbios_entry_point": string(entryPoint21(2, 4, 0x1f, 100)), id + "product_uuid": uuid24 + "\n"})
	is.Equal(old.signals(t).SystemUUID.Value(), uuid24)
	is.Equal(old.with(files{raw + "DMI": ""}).signals(t).SystemUUID.Value(), uuid24)
}

func TestNothingThere(t *testing.T) {
	t.Parallel()
	if got := (files{}).signals(t); got != (ports.MachineSignals{}) {
		t.Errorf("%+v", got)
	}
}

func TestWithoutRights(t *testing.T) {
	t.Parallel()
	const denied = "unreadable"
	for _, c := range []struct {
		name      string
		change    files
		forbidden []string
		// Values, or "unreadable", or "" for absent.
		uuid, board, disk, machineID string
	}{
		{"an ordinary user", nil, []string{raw, id + "product_uuid", id + "board_serial"}, denied, denied, disk, machineID},
		{"raw tables alone are closed", nil, []string{raw}, uuid26, board, disk, machineID},
		{"raw tables and no values", files{id + "product_uuid": "", id + "board_serial": "", id + "sys_vendor": "", id + "product_name": ""}, []string{raw}, denied, denied, disk, machineID},
		{"the kernel found the UUID blank", files{id + "product_uuid": ""}, []string{raw, id + "board_serial"}, "", denied, disk, machineID},
		{"no raw tables, values closed", files{raw + "smbios_entry_point": "", raw + "DMI": ""}, []string{id + "product_uuid", id + "board_serial"}, denied, denied, disk, machineID},
		{"the disk is closed", nil, []string{nvme + "/nvme0n1/device/serial"}, uuid26, board, denied, machineID},
		{"the disk is closed, udev knows it", files{"run/udev/data/b259:0": "E:ID_SERIAL_SHORT=" + disk + "\n"}, []string{nvme + "/nvme0n1/device/serial"}, uuid26, board, disk, machineID},
		{"machine-id is closed", nil, []string{"etc"}, uuid26, board, disk, denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := notebook().with(c.change).signals(t, c.forbidden...)
			for _, s := range []struct {
				name string
				got  ports.Signal
				want string
			}{
				{"system UUID", got.SystemUUID, c.uuid},
				{"baseboard serial", got.BaseboardSerial, c.board},
				{"disk serial", got.DiskSerial, c.disk},
				{"machine-id", got.OSMachineID, c.machineID},
			} {
				want := ports.PresentSignal(s.want)
				if s.want == denied {
					want = ports.UnreadableSignal()
				}
				if !reflect.DeepEqual(s.got, want) {
					t.Errorf("%s: %v %q, want %q", s.name, s.got, s.got.Value(), s.want)
				}
			}
		})
	}
}

// An ordinary user against real permissions; root may read all.
func TestRealPermissions(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may read every file; TestWithoutRights covers what is decided")
	}
	root := notebook().write(t)
	for _, name := range []string{raw + "DMI", raw + "smbios_entry_point", id + "product_uuid", id + "board_serial"} {
		is.New(t).NoErr(os.Chmod(filepath.Join(root, name), 0))
	}
	got, err := New(root).Read(t.Context())
	if err != nil || !got.SystemUUID.Unreadable() || !got.BaseboardSerial.Unreadable() {
		t.Errorf("system UUID %v, baseboard serial %v, error %v", got.SystemUUID, got.BaseboardSerial, err)
	}
}

func TestMachineIDBeforeTheFirstBoot(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"uninitialized\n", "\n", " "} {
		if got := (files{"etc/machine-id": content}).signals(t).OSMachineID; got != (ports.Signal{}) {
			t.Errorf("%q: %v", content, got)
		}
	}
}

// A source that never answers: a pipe that nobody writes to.
func TestReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	root := notebook().with(files{"etc/machine-id": ""}).write(t)
	pipe := filepath.Join(root, "etc", "machine-id")
	if err := os.Mkdir(filepath.Dir(pipe), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	is.NoErr(syscall.Mkfifo(pipe, 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := New(root).Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("Read took %v", took)
	}
	// Let the read that was left behind end.
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0)
	is.NoErr(err)
	is.NoErr(writer.Close())
}

func BenchmarkReadWithoutDMI(b *testing.B) {
	reader := notebook().with(files{
		raw + "smbios_entry_point": "", raw + "DMI": "",
		id + "product_uuid": "", id + "board_serial": "", id + "sys_vendor": "", id + "product_name": "",
	}).reader(b)
	for b.Loop() {
		if _, err := reader.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadThisMachine(b *testing.B) {
	reader := New("/")
	for b.Loop() {
		if _, err := reader.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
