package hwid

import "testing"

func TestVirtual(t *testing.T) {
	t.Parallel()
	const flagged = "vendor_id\t: GenuineIntel\nflags\t\t: fpu sse2 hypervisor lahf_lm\n"
	for _, c := range []struct {
		name  string
		files files
		want  bool
	}{
		{"hardware", notebook(), false},
		{"nothing", files{}, false},
		{"by the raw table", notebook().with(files{raw + "DMI": string(encode(system("QEMU", "Standard PC", wire), endOfTable))}), true},
		{"by the kernel's values", files{id + "sys_vendor": "innotek GmbH\n"}, true},
		{"by the processor", files{"proc/cpuinfo": flagged}, true},
		{"flag of a feature with that name in it", files{"proc/cpuinfo": "flags\t\t: no_hypervisor_here\n"}, false},
		{"User Mode Linux", files{"proc/cpuinfo": "vendor_id\t: User Mode Linux\n"}, true},
		{"Xen guest", files{"sys/hypervisor/type": "xen\n", "sys/hypervisor/properties/features": "00002705\n"}, true},
		{"Xen guest by procfs", files{"proc/xen/capabilities": " "}, true},
		{"Xen's control domain", files{"sys/hypervisor/type": "xen\n", "sys/hypervisor/properties/features": "00002f05\n", "proc/xen/capabilities": " ", "proc/cpuinfo": flagged}, false},
		{"Xen's control domain by procfs", files{"sys/hypervisor/type": "xen\n", "proc/xen/capabilities": "control_d\n", "proc/cpuinfo": flagged}, false},
		{"Xen's control domain in a virtual machine", files{"sys/hypervisor/type": "xen\n", "proc/xen/capabilities": "control_d\n", id + "sys_vendor": "QEMU\n"}, true},
		{"device tree of KVM", files{"proc/device-tree/hypervisor/compatible": "linux,kvm\x00"}, true},
		{"device tree of QEMU", files{"proc/device-tree/fw-cfg@9020000/compatible": "qemu,fw-cfg-mmio\x00"}, true},
		{"device tree of a board", files{"proc/device-tree/model": "Raspberry Pi 4\x00"}, false},
	} {
		if got := c.files.signals(t).Virtual; got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestContainer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files files
		want  bool
	}{
		{"hardware", nil, false},
		{"OpenVZ guest", files{"proc/vz/x": " "}, true},
		{"OpenVZ host", files{"proc/vz/x": " ", "proc/bc/x": " "}, false},
		{"WSL 1", files{"proc/sys/kernel/osrelease": "4.4.0-19041-Microsoft\n"}, true},
		{"WSL 2", files{"proc/sys/kernel/osrelease": "5.15.90.1-microsoft-standard-WSL2\n"}, true},
		{"PRoot", files{"proc/self/status": "Name:\tmuster\nTracerPid:\t42\n", "proc/42/comm": "proot\n"}, true},
		{"a debugger", files{"proc/self/status": "Name:\tmuster\nTracerPid:\t42\n", "proc/42/comm": "gdb\n"}, false},
		{"nobody traces", files{"proc/self/status": "Name:\tmuster\nTracerPid:\t0\n", "proc/0/comm": "proot\n"}, false},
		{"by its manager", files{"run/host/container-manager": "systemd-nspawn\n"}, true},
		{"by systemd", files{"run/systemd/container": "lxc\n"}, true},
		{"by its first process", files{"proc/1/environ": "TERM=linux\x00container=oci\x00"}, true},
		{"another variable", files{"proc/1/environ": "mycontainer=oci\x00containerd=1\x00"}, false},
		{"its first process says that it is none", files{"proc/1/environ": "container=\x00", ".dockerenv": " "}, false},
		{"Podman", files{"run/.containerenv": " "}, true},
		{"Docker", files{".dockerenv": " "}, true},
	} {
		got := notebook().with(c.files).signals(t)
		if got.Container != c.want {
			t.Errorf("%s: %v, want %v", c.name, got.Container, c.want)
		}
		if got.Container && got.SystemUUID.Value()+got.BaseboardSerial.Value()+got.DiskSerial.Value() != "" {
			t.Errorf("%s: the host's hardware was read", c.name)
		}
		if got.OSMachineID.Value() != machineID {
			t.Errorf("%s: machine-id %v", c.name, got.OSMachineID)
		}
	}
	denied := notebook().with(files{"proc/1/environ": "container=oci\x00", ".dockerenv": " "}).signals(t, "proc/1")
	if !denied.Container {
		t.Error("Docker is not seen by a user who may not read the first process's environment")
	}
}
