package hwid

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// Bounds of what is read of a file, in bytes.
const (
	maxText        = 4 << 10   // one value
	maxCPUInfo     = 16 << 10  // the first processor, whose flags take 2 KiB
	maxEnvironment = 128 << 10 // of the first process: it has little
	maxMountInfo   = 1 << 20   // a host of containers has thousands of mounts of 200 bytes
	maxTable       = 1 << 20   // SMBIOS 2 allows 64 KiB; tables in the field have 2 to 20 KiB
)

// tree is a file system laid out as the kernel and an init system do.
type tree struct{ fs.FS }

// signals reads everything.
func (t tree) signals() ports.MachineSignals {
	signals := ports.MachineSignals{OSMachineID: t.machineID(), Container: t.container()}
	if !signals.Container {
		var dmi dmi
		signals.SystemUUID, signals.BaseboardSerial, dmi = t.firmware()
		signals.DiskSerial = t.diskSerial()
		signals.Virtual = t.virtual(dmi)
	}
	return signals
}

// machineID reads /etc/machine-id. In an image before its first boot it is empty
// or holds "uninitialized" (machine-id(5)).
func (t tree) machineID() ports.Signal {
	id := t.signal("etc/machine-id")
	if id.Value() == "uninitialized" {
		return ports.Signal{}
	}
	return id
}

// read returns the first limit bytes of a file.
func (t tree) read(name string, limit int64) ([]byte, error) {
	file, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read: nothing is lost
	return io.ReadAll(io.LimitReader(file, limit))
}

// text returns a file's value; "" if there is none or it cannot be read.
func (t tree) text(name string) string { return t.signal(name).Value() }

// signal returns a file's value without the space around it.
func (t tree) signal(name string) ports.Signal {
	b, err := t.read(name, maxText)
	if err != nil {
		return signalOf(err)
	}
	return ports.PresentSignal(string(bytes.TrimSpace(b)))
}

// signalOf makes a signal of an error. Any other than a lack of rights means that
// there is none: sysfs has attributes that cannot be read where a device has no
// value for them.
func signalOf(err error) ports.Signal {
	if errors.Is(err, fs.ErrPermission) {
		return ports.UnreadableSignal()
	}
	return ports.Signal{}
}

// firstOf returns the first signal that is present, else an unreadable one if
// there is any.
func firstOf(candidates ...func() ports.Signal) ports.Signal {
	var best ports.Signal
	for _, candidate := range candidates {
		signal := candidate()
		if signal.Value() != "" {
			return signal
		}
		if signal.Unreadable() {
			best = signal
		}
	}
	return best
}

func (t tree) exists(name string) bool {
	_, err := fs.Stat(t.FS, name)
	return err == nil
}

// resolve follows name where it is a symbolic link, from this tree's root.
func (t tree) resolve(name string) string {
	const maxLinks = 8 // one is enough for those of sysfs and udev
	for range maxLinks {
		target, err := fs.ReadLink(t.FS, name)
		if err != nil {
			break
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		name = strings.TrimPrefix(path.Clean(target), "/")
	}
	return name
}
