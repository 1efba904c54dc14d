package processlock

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// systemHolder asks the kernel which process holds one of the paths; 0 if it
// does not say (another pid namespace, a file system that reports other
// device numbers).
func systemHolder(paths ...string) int {
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	for _, path := range paths {
		if pid := holderIn(string(locks), fileID(path)); pid != 0 {
			return pid
		}
	}
	return 0
}

// fileID is a file as /proc/locks names it: the device's major and minor
// number in hex and the inode number; empty if there is none.
func fileID(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return ""
	}
	st := info.Sys().(*syscall.Stat_t)
	dev := uint64(st.Dev)
	major := (dev>>8)&0xfff | (dev>>32)&^0xfff // makedev(3)
	minor := dev&0xff | (dev>>12)&0xffffff00
	return fmt.Sprintf("%02x:%02x:%d", major, minor, st.Ino)
}

// holderIn finds the process with an exclusive flock on the file. A line reads
// "1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF" (proc_locks(5)).
func holderIn(locks, id string) int {
	for line := range strings.Lines(locks) {
		f := strings.Fields(line)
		if len(f) >= 6 && f[1] == "FLOCK" && f[3] == "WRITE" && f[5] == id {
			if pid, err := strconv.Atoi(f[4]); err == nil && pid > 0 {
				return pid
			}
		}
	}
	return 0
}
