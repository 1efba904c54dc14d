package hwid

import "strings"

// dmi holds the values of the firmware that tell virtual machines from hardware.
type dmi struct {
	product, systemVendor, boardVendor, biosVendor, productVersion string

	bit vmBit
}

// vmBit is bit 4 of BIOS characteristics extension byte 2 (SMBIOS 7.1.2.2):
// the table describes a virtual machine. Not every hypervisor sets it.
type vmBit int

const (
	vmBitUnknown vmBit = iota
	vmBitClear
	vmBitSet
)

// hypervisors are the beginnings of names in a virtual machine's firmware: first
// the table of systemd-detect-virt, then names that it can do without because it
// also asks the processor. On arm64 the processor does not tell.
var hypervisors = []string{
	"KVM", "OpenStack", "KubeVirt", "QEMU", "VMware", "VMW", "innotek GmbH", "VirtualBox",
	"Xen", "Bochs", "Parallels", "BHYVE", "Hyper-V", "Apple Virtualization", "Google Compute Engine",

	"Standard PC (", // QEMU under a provider's name
	"HVM domU",      // Xen under a provider's name
	"Droplet",       // DigitalOcean
	"vServer",       // Hetzner
	"RHEV Hypervisor",
	"oVirt",
	"AHV", // Nutanix
	"Cloud Hypervisor",
	"Alibaba Cloud ECS",
}

// virtual reports whether the firmware is a virtual machine's.
func (d dmi) virtual() bool {
	if d.bit == vmBitSet {
		return true
	}
	names := []string{d.product, d.systemVendor, d.boardVendor, d.biosVendor, d.productVersion}
	for _, name := range names {
		if strings.HasPrefix(name, "Amazon EC2") {
			return !d.amazonMetal()
		}
		for _, hypervisor := range hypervisors {
			if strings.HasPrefix(name, hypervisor) {
				return true
			}
		}
	}
	// The vendor alone could be that of a notebook.
	return strings.HasPrefix(d.systemVendor, "Microsoft") && strings.HasPrefix(d.product, "Virtual Machine")
}

// amazonMetal tells Amazon's hardware from its virtual machines: by the bit
// if it can be read, else by the name, like m5.metal or c7g.metal-48xl.
func (d dmi) amazonMetal() bool {
	if d.bit != vmBitUnknown {
		return d.bit == vmBitClear
	}
	_, size, metal := strings.Cut(d.product, ".metal")
	return metal && (size == "" || size[0] == '-')
}
