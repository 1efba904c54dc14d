package hwid

import (
	"encoding/binary"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// diskSerial returns the serial of the disk that holds the root file system. If
// there are several (LVM, RAID, multipath), it is the first of their serials in
// byte order, which, unlike the order of the disks' names, survives a restart.
// Disks without a serial do not count. If one of the serials may not be read, the
// signal is unreadable.
func (t tree) diskSerial() ports.Signal {
	var serials []string
	for _, disk := range t.disks(t.rootDevice(), 0) {
		serial := t.serial(disk)
		if serial.Unreadable() {
			return serial
		}
		if serial.Value() != "" {
			serials = append(serials, serial.Value())
		}
	}
	if len(serials) == 0 {
		return ports.Signal{}
	}
	return ports.PresentSignal(slices.Min(serials))
}

// rootDevice returns the sysfs directory of the block device that is mounted on
// "/"; "" if none is, as with a network file system.
func (t tree) rootDevice() string {
	mounts, err := t.read("proc/self/mountinfo", maxMountInfo)
	if err != nil {
		return ""
	}
	var number, source string
	for line := range strings.Lines(string(mounts)) {
		// proc_pid_mountinfo(5): ID, parent, major:minor, root, mount point,
		// options, any number of tags, "-", type, source, options.
		mount, fsys, _ := strings.Cut(line, " - ")
		fields, of := strings.Fields(mount), strings.Fields(fsys)
		if len(fields) > 4 && fields[4] == "/" && len(of) > 1 {
			number, source = fields[2], of[1] // the last of several mounts is on top
		}
	}
	if number != "" && !strings.HasPrefix(number, "0:") {
		return t.resolve("sys/dev/block/" + number)
	}
	// btrfs reports a number that belongs to no device.
	if !strings.HasPrefix(source, "/dev/") {
		return ""
	}
	name := strings.TrimPrefix(t.resolve(source[1:]), "dev/")
	return t.resolve("sys/class/block/" + strings.ReplaceAll(name, "/", "!")) // cciss/c0d0 is cciss!c0d0
}

// disks returns the whole disks that a block device lies on.
func (t tree) disks(device string, depth int) []string {
	const maxDepth = 8 // a file system on a volume on an encrypted device on a RAID on partitions has 5
	if device == "" || depth > maxDepth || !t.exists(device) {
		return nil
	}
	if t.exists(device + "/partition") {
		return t.disks(path.Dir(device), depth+1)
	}
	slaves, err := fs.ReadDir(t.FS, device+"/slaves")
	if err != nil || len(slaves) == 0 {
		return []string{device}
	}
	var disks []string
	for _, slave := range slaves {
		disks = append(disks, t.disks(t.resolve(device+"/slaves/"+slave.Name()), depth+1)...)
	}
	return disks
}

// serial returns the serial of a whole disk.
func (t tree) serial(disk string) ports.Signal {
	return firstOf(
		func() ports.Signal { return t.signal(disk + "/serial") },        // virtio
		func() ports.Signal { return t.signal(disk + "/device/serial") }, // NVMe, MMC
		func() ports.Signal { return t.vitalProductData(disk + "/device/vpd_pg80") },
		func() ports.Signal { return t.udevSerial(disk) },
	)
}

// vitalProductData reads the page "unit serial number" of a SCSI or ATA disk
// (SPC-4, 7.8.15): peripheral, page code 0x80, length in two bytes, serial.
func (t tree) vitalProductData(name string) ports.Signal {
	page, err := t.read(name, maxText)
	if err != nil {
		return signalOf(err)
	}
	if len(page) < 4 || page[1] != 0x80 {
		return ports.Signal{}
	}
	serial := page[4:]
	serial = serial[:min(len(serial), int(binary.BigEndian.Uint16(page[2:])))]
	return ports.PresentSignal(strings.Trim(string(serial), " \x00"))
}

// udevSerial reads the serial that udev found by its own means, for instance on
// USB.
func (t tree) udevSerial(disk string) ports.Signal {
	number := t.text(disk + "/dev")
	if number == "" {
		return ports.Signal{}
	}
	b, err := t.read("run/udev/data/b"+number, maxText)
	if err != nil {
		return signalOf(err)
	}
	for line := range strings.Lines(string(b)) {
		if serial, found := strings.CutPrefix(line, "E:ID_SERIAL_SHORT="); found {
			return ports.PresentSignal(strings.TrimSpace(serial))
		}
	}
	return ports.Signal{}
}
