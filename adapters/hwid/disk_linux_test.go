package hwid

import (
	"reflect"
	"strings"
	"testing"

	"github.com/muster-agent/muster/ports"
)

const devices = "sys/devices/"

// scsi is a SCSI or ATA disk with one partition.
func scsi(name, number, partition, serial string) files {
	dir := devices + "ata/" + name
	return files{
		dir + "/dev":                     number + "\n",
		dir + "/device/vpd_pg80":         "\x00\x80\x00" + string(rune(len(serial))) + serial,
		dir + "/" + name + "1/dev":       partition + "\n",
		dir + "/" + name + "1/partition": "1\n",
		"sys/dev/block/" + number:        "-> ../../devices/ata/" + name,
		"sys/dev/block/" + partition:     "-> ../../devices/ata/" + name + "/" + name + "1",
		"sys/class/block/" + name:        "-> ../../devices/ata/" + name,
		"sys/class/block/" + name + "1":  "-> ../../devices/ata/" + name + "/" + name + "1",
	}
}

// virtual is a device that lies on others, given by their directories.
func virtual(name, number string, on ...string) files {
	dir := devices + "virtual/block/" + name
	f := files{
		dir + "/dev":              number + "\n",
		"sys/dev/block/" + number: "-> ../../devices/virtual/block/" + name,
		"sys/class/block/" + name: "-> ../../devices/virtual/block/" + name,
	}
	for _, device := range on {
		f[dir+"/slaves/"+device[strings.LastIndex(device, "/")+1:]] = "-> ../../../../" + strings.TrimPrefix(device, devices)
	}
	return f
}

func mount(number, fsys, source string) files {
	return files{"proc/self/mountinfo": "1 1 0:2 / / rw - rootfs rootfs rw\n" +
		"22 1 " + number + " / / rw,relatime shared:1 master:2 - " + fsys + " " + source + " rw,errors=remount-ro\n" +
		"23 22 8:99 / /home rw,relatime - ext4 /dev/sdz9 rw\n"}
}

func merge(parts ...files) files {
	all := files{}
	for _, part := range parts {
		all = all.with(part)
	}
	return all
}

func TestDiskSerial(t *testing.T) {
	t.Parallel()
	sda, sdb := scsi("sda", "8:0", "8:1", "  WD-WCC4N0123456 "), scsi("sdb", "8:16", "8:17", "S2BBBB0B000001F")
	for _, c := range []struct {
		name   string
		files  files
		denied []string
		want   string // "unreadable" for that
	}{
		{"SATA", merge(sda, mount("8:1", "ext4", "/dev/sda1")), nil, "WD-WCC4N0123456"},
		{"a whole disk without partitions", merge(sda, mount("8:0", "xfs", "/dev/sda")), nil, "WD-WCC4N0123456"},
		{"the kernel's own name of the root", merge(sda, mount("8:1", "ext4", "/dev/root")), nil, "WD-WCC4N0123456"},
		{"a longer page than it says", merge(sda, files{devices + "ata/sda/device/vpd_pg80": "\x00\x80\x00\x04ABCDEFG"}, mount("8:1", "ext4", "/dev/sda1")), nil, "ABCD"},
		{"a shorter page than it says", merge(sda, files{devices + "ata/sda/device/vpd_pg80": "\x00\x80\xff\xffABCD"}, mount("8:1", "ext4", "/dev/sda1")), nil, "ABCD"},
		{"another page", merge(sda, files{devices + "ata/sda/device/vpd_pg80": "\x00\x83\x00\x04ABCD"}, mount("8:1", "ext4", "/dev/sda1")), nil, ""},
		{"half a page", merge(sda, files{devices + "ata/sda/device/vpd_pg80": "\x00\x80"}, mount("8:1", "ext4", "/dev/sda1")), nil, ""},
		{"virtio", merge(virtual("vda", "254:0"), files{devices + "virtual/block/vda/serial": "vol0a1b2c3d"}, mount("254:0", "ext4", "/dev/vda")), nil, "vol0a1b2c3d"},
		{"MMC", merge(virtual("mmcblk0", "179:0"), files{devices + "virtual/block/mmcblk0/device/serial": "0x1234abcd\n"}, mount("179:0", "ext4", "/dev/mmcblk0")), nil, "0x1234abcd"},
		{"USB, by udev", merge(virtual("sdc", "8:32"), files{"run/udev/data/b8:32": "S:disk/by-id/x\nE:ID_SERIAL=Brand_4C530001\nE:ID_SERIAL_SHORT=4C530001\nG:systemd\n"}, mount("8:32", "ext4", "/dev/sdc")), nil, "4C530001"},
		{"encrypted LVM", merge(sda, virtual("dm-0", "253:0", devices+"ata/sda/sda1"), virtual("dm-1", "253:1", devices+"virtual/block/dm-0"), mount("253:1", "ext4", "/dev/mapper/vg-root")), nil, "WD-WCC4N0123456"},
		{"RAID: the first serial", merge(sda, sdb, virtual("md0", "9:0", devices+"ata/sda/sda1", devices+"ata/sdb/sdb1"), mount("9:0", "ext4", "/dev/md0")), nil, "S2BBBB0B000001F"},
		{"RAID with partitions", merge(sda, sdb, virtual("md0", "9:0", devices+"ata/sda/sda1", devices+"ata/sdb/sdb1"), files{
			devices + "virtual/block/md0/md0p1/partition": "1\n", "sys/dev/block/259:0": "-> ../../devices/virtual/block/md0/md0p1",
		}, mount("259:0", "ext4", "/dev/md0p1")), nil, "S2BBBB0B000001F"},
		{"RAID, one disk without a serial", merge(sda, sdb, files{devices + "ata/sdb/device/vpd_pg80": ""}, virtual("md0", "9:0", devices+"ata/sda/sda1", devices+"ata/sdb/sdb1"), mount("9:0", "ext4", "/dev/md0")), nil, "WD-WCC4N0123456"},
		{"RAID, one disk closed", merge(sda, sdb, virtual("md0", "9:0", devices+"ata/sda/sda1", devices+"ata/sdb/sdb1"), mount("9:0", "ext4", "/dev/md0")), []string{devices + "ata/sdb/device"}, "unreadable"},
		{"btrfs", merge(sda, mount("0:25", "btrfs", "/dev/sda1")), nil, "WD-WCC4N0123456"},
		{"btrfs on a mapped device", merge(sda, virtual("dm-0", "253:0", devices+"ata/sda/sda1"), files{"dev/mapper/luks": "-> ../dm-0", "dev/dm-0": " "}, mount("0:25", "btrfs", "/dev/mapper/luks")), nil, "WD-WCC4N0123456"},
		{"a name with a slash", merge(virtual("cciss!c0d0", "104:0"), files{devices + "virtual/block/cciss!c0d0/serial": "P1234"}, mount("0:25", "btrfs", "/dev/cciss/c0d0")), nil, "P1234"},
		{"NFS", merge(sda, mount("0:40", "nfs4", "server:/root")), nil, ""},
		{"overlay", merge(sda, mount("0:41", "overlay", "overlay")), nil, ""},
		{"a device that is not there", mount("8:1", "ext4", "/dev/sda1"), nil, ""},
		{"devices that lie on each other", merge(virtual("dm-0", "253:0", devices+"virtual/block/dm-1"), virtual("dm-1", "253:1", devices+"virtual/block/dm-0"), mount("253:0", "ext4", "/dev/dm-0")), nil, ""},
		{"garbage", files{"proc/self/mountinfo": "a\n - \n1 2 3 4 /\n1 2 3 4 / - \n1 2 : 4 / - x y\n"}, nil, ""},
		{"another file's mounts only", files{"proc/self/mountinfo": "22 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := ports.PresentSignal(c.want)
			if c.want == "unreadable" {
				want = ports.UnreadableSignal()
			}
			if got := c.files.signals(t, c.denied...).DiskSerial; !reflect.DeepEqual(got, want) {
				t.Errorf("%v %q, want %q", got, got.Value(), c.want)
			}
		})
	}
}
