package hwid

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// virtual decides as systemd-detect-virt --vm does.
func (t tree) virtual(d dmi) bool {
	switch {
	case d.virtual():
		return true
	case t.xenControlDomain():
		// It sees the hardware, and a hypervisor's marks as well.
		return false
	}
	return t.exists("proc/xen") || t.text("sys/hypervisor/type") != "" || t.processorIsVirtual() || t.deviceTreeIsVirtual()
}

// xenControlDomain reports whether this is Xen's dom0.
func (t tree) xenControlDomain() bool {
	const dom0 = 1 << 11 // XENFEAT_dom0, xen/include/public/features.h
	features, err := strconv.ParseUint(t.text("sys/hypervisor/properties/features"), 16, 64)
	if err == nil {
		return features&dom0 != 0
	}
	return slices.Contains(strings.Split(t.text("proc/xen/capabilities"), ","), "control_d")
}

// processorIsVirtual looks for the flag that x86 reserves for hypervisors, and
// for User Mode Linux.
func (t tree) processorIsVirtual() bool {
	b, err := t.read("proc/cpuinfo", maxCPUInfo)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "vendor_id":
			if strings.TrimSpace(value) == "User Mode Linux" {
				return true
			}
		case "flags":
			return slices.Contains(strings.Fields(value), "hypervisor")
		}
	}
	return false
}

// deviceTreeIsVirtual reports whether the device tree has a node of a hypervisor or
// QEMU's configuration device.
func (t tree) deviceTreeIsVirtual() bool {
	const deviceTree = "proc/device-tree"
	if t.exists(deviceTree + "/hypervisor") {
		return true
	}
	nodes, err := fs.ReadDir(t.FS, deviceTree)
	return err == nil && slices.ContainsFunc(nodes, func(node fs.DirEntry) bool {
		return strings.Contains(node.Name(), "fw-cfg")
	})
}
