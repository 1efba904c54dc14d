package hostfacts

import (
	"testing"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	sys := map[string]string{
		"eth0/device":           "/",
		"eth0/type":             "1\n",
		"wlan0/device":          "/",
		"wlan0/uevent":          "DEVTYPE=wlan\nINTERFACE=wlan0\n",
		"eth0.10/lower_eth0":    "/",
		"eth0.10/uevent":        "DEVTYPE=vlan\n",
		"eth0.10/type":          "1\n",
		"eth0.10/ifindex":       "5\n",
		"eth0.10/iflink":        "2\n",
		"bond0/lower_eth0":      "/",
		"br0/bridge":            "/", // a host's own, of whose ports one is a card
		"br0/uevent":            "DEVTYPE=bridge\n",
		"br0/lower_vnet0":       "/",
		"br0/lower_eth0.10":     "/",
		"br0.20/lower_br0":      "/",
		"docker0/bridge":        "/",
		"docker0/uevent":        "DEVTYPE=bridge\n",
		"docker0/lower_vethA":   "/",
		"virbr0/bridge":         "/",
		"vethA/type":            "1\n",
		"vethA/ifindex":         "7\n",
		"vethA/iflink":          "2\n",
		"vnet0/type":            "1\n",
		"vnet0/ifindex":         "8\n",
		"vnet0/iflink":          "8\n",
		"vnet0/tun_flags":       "0x1002\n",
		"tun0/type":             "65534\n",
		"tun0/ifindex":          "9\n",
		"tun0/iflink":           "9\n",
		"tun0/tun_flags":        "0x1001\n",
		"wg0/uevent":            "DEVTYPE=wireguard\n",
		"wg0/type":              "65534\n",
		"flannel.1/uevent":      "DEVTYPE=vxlan\nINTERFACE=flannel.1\n",
		"dummy0/type":           "1\n",
		"dummy0/ifindex":        "12\n",
		"dummy0/iflink":         "12\n",
		"ip6tnl0/type":          "769\n",
		"ip6tnl0/ifindex":       "13\n",
		"ip6tnl0/iflink":        "0\n",
		"circleA/lower_circleB": "/",
		"circleB/lower_circleA": "/",
	}
	files := map[string]string{}
	for name, content := range sys {
		files["sys/class/net/"+name] = content
	}
	write(t, root, files)
	for name, want := range map[string]kind{
		"eth0": hardware, "wlan0": hardware, "eth0.10": hardware, "bond0": hardware, "br0": hardware, "br0.20": hardware,
		"docker0": private, "virbr0": private,
		"vethA": guest, "vnet0": guest, "flannel.1": guest,
		"tun0": software, "wg0": software, "dummy0": software, "ip6tnl0": software, "circleA": software, "gone0": software,
	} {
		if got := kindOf(root, name); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}
