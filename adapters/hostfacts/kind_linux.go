package hostfacts

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// kindOf tells the kind of an interface by /sys/class/net, whose files the
// kernel's Documentation/ABI/testing/sysfs-class-net describes. An interface that
// is not shown there is software.
func kindOf(root, name string) kind {
	return sysfs(filepath.Join(root, "sys/class/net")).kind(name)
}

// sysfs is the path of /sys/class/net.
type sysfs string

func (s sysfs) kind(name string) kind {
	switch {
	case s.onHardware(name, 8): // as deep as anyone stacks VLAN, bridge and bond
		return hardware
	case s.has(name, "bridge"):
		return private
	case s.isTap(name), s.isOverlay(name), s.isVeth(name):
		return guest
	}
	return software
}

func (s sysfs) has(name, file string) bool {
	_, err := os.Stat(filepath.Join(string(s), name, file))
	return err == nil
}

func (s sysfs) text(name, file string) string {
	content, err := os.ReadFile(filepath.Join(string(s), name, file))
	if err != nil {
		return "" // as good as empty
	}
	return strings.TrimSpace(string(content))
}

// onHardware reports whether the interface belongs to a device or lies on one that
// does. The kernel links each interface to those below it, a bridge to its ports.
func (s sysfs) onHardware(name string, depth int) bool {
	if s.has(name, "device") {
		return true
	}
	entries, err := os.ReadDir(filepath.Join(string(s), name))
	if err != nil || depth == 0 {
		return false
	}
	for _, entry := range entries {
		if lower, ok := strings.CutPrefix(entry.Name(), "lower_"); ok && s.onHardware(lower, depth-1) {
			return true
		}
	}
	return false
}

// isTap reports whether the interface is an end of a virtual machine's. (A tun is
// a VPN's.)
func (s sysfs) isTap(name string) bool {
	const iffTap = 0x2 // linux/if_tun.h
	flags, err := strconv.ParseUint(s.text(name, "tun_flags"), 0, 32)
	return err == nil && flags&iffTap != 0
}

// isOverlay reports whether the interface belongs to a network of containers
// across hosts.
func (s sysfs) isOverlay(name string) bool {
	for line := range strings.Lines(s.text(name, "uevent")) {
		switch strings.TrimSpace(line) {
		case "DEVTYPE=vxlan", "DEVTYPE=geneve":
			return true
		}
	}
	return false
}

// isVeth reports whether the interface is an Ethernet without a device that is
// linked to another interface (its other end, mostly in another namespace). A
// container's macvlan looks the same.
func (s sysfs) isVeth(name string) bool {
	const arphrdEther = "1" // linux/if_arp.h
	link := s.text(name, "iflink")
	return s.text(name, "type") == arphrdEther && link != "" && link != "0" && link != s.text(name, "ifindex")
}
