package mtls

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// holderOf finds the process that listens on addr, the first if several share the
// socket, as after a fork. It finds nobody where this process may not look into
// the other, or where that is in another pid namespace. root holds proc.
func holderOf(root string, addr netip.AddrPort) (pid int, process string) {
	proc := filepath.Join(root, "proc")
	links := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		sockets, err := os.ReadFile(filepath.Join(proc, "net", table))
		if err != nil {
			continue // a kernel without IPv6 has no tcp6
		}
		for _, inode := range listening(string(sockets), addr) {
			links["socket:["+inode+"]"] = true
		}
	}
	if len(links) == 0 {
		return 0, ""
	}
	for _, pid := range processes(proc) {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		if !hasOpen(filepath.Join(dir, "fd"), links) {
			continue
		}
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			continue // it has just ended
		}
		return pid, strings.TrimSpace(string(name))
	}
	return 0, ""
}

// listening returns the inodes of a table's sockets that listen on addr or on an
// address that includes it. A line reads "0: 0100007F:1F90 00000000:0000 0A …", with
// the state (0A: listening) fourth and the inode tenth (proc_net(5)).
func listening(table string, addr netip.AddrPort) (inodes []string) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != "0A" {
			continue
		}
		local, ok := parseLocal(f[1])
		if ok && local.Port() == addr.Port() && overlap(local.Addr(), addr.Addr().Unmap()) {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}

func overlap(a, b netip.Addr) bool {
	return a.IsUnspecified() || b.IsUnspecified() || !b.IsValid() || a == b.WithZone("")
}

// parseLocal reads an address of the table: words of 32 bits in the order of
// this machine's bytes, and the port, all in hex.
func parseLocal(text string) (netip.AddrPort, bool) {
	words, portText, _ := strings.Cut(text, ":")
	ip, err := hex.DecodeString(words)
	if err != nil || len(ip)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(ip); i += 4 {
		binary.NativeEndian.PutUint32(ip[i:], binary.BigEndian.Uint32(ip[i:]))
	}
	addr, ok := netip.AddrFromSlice(ip)
	port, err := strconv.ParseUint(portText, 16, 16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), ok && err == nil
}

// processes returns the ids of all processes, ascending.
func processes(proc string) (pids []int) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// hasOpen reports whether one of the links is in a process's fd directory.
func hasOpen(dir string, links map[string]bool) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false // another user's process, or one that has just ended
	}
	return slices.ContainsFunc(entries, func(entry os.DirEntry) bool {
		link, err := os.Readlink(filepath.Join(dir, entry.Name()))
		return err == nil && links[link]
	})
}
