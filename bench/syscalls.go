//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
)

// syncs are the calls that wait for the disk.
var syncs = []string{"fsync", "fdatasync", "sync_file_range", "syncfs"}

// systemCalls counts what a first enrollment asks of the system, with strace
// where there is one. syncedMS is what the floor's syncs took, with their
// files.
func (b *bench) systemCalls(w io.Writer, syncedMS float64) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		fmt.Fprintln(w, "System calls are not counted: there is no strace here.")
		fmt.Fprintln(w)
		return nil
	}
	var counts [2]map[string]int
	for n, p := range b.programs {
		if counts[n], err = b.count(strace, p); err != nil {
			return err
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "system calls of a first enrollment\tfloor\tmuster")
	for _, kind := range []struct {
		label string
		names []string
	}{
		{"syncs of files and directories", syncs},
		{"renames", []string{"rename", "renameat", "renameat2"}},
		{"files opened", []string{"open", "openat", "openat2"}},
		{"connections", []string{"connect"}},
		{"threads started", []string{"clone", "clone3"}},
		{"waits (futex, epoll, sleep)", []string{"futex", "epoll_pwait", "nanosleep"}},
		{"all", []string{"total"}},
	} {
		fmt.Fprintf(t, "  %s\t%d\t%d\n", kind.label, sum(counts[0], kind.names), sum(counts[1], kind.names))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if floor, more := sum(counts[0], syncs), sum(counts[1], syncs)-sum(counts[0], syncs); floor > 0 && more > 0 {
		each := syncedMS / float64(floor)
		fmt.Fprintf(w, "At the floor's %.2f ms for a sync, the agent's %d more syncs take %.2f ms.\n", each, more, each*float64(more))
	}
	fmt.Fprintln(w)
	return nil
}

func sum(counts map[string]int, names []string) (total int) {
	for _, name := range names {
		total += counts[name]
	}
	return total
}

// count runs a first enrollment under strace.
func (b *bench) count(strace string, p program) (map[string]int, error) {
	name := filepath.Join(b.dir, "strace-"+p.name)
	cmd := exec.CommandContext(b.ctx, strace, append([]string{"-f", "-c", "-o", name, p.path}, p.enroll...)...)
	cmd.Env = b.machine()
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("strace of %s: %w; it said:\n%s", p.name, err, out)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read what strace counted: %w", err)
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
		// % time, seconds, usecs/call, calls, perhaps errors, name
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if calls, err := strconv.Atoi(fields[3]); err == nil {
			counts[fields[len(fields)-1]] = calls
		}
	}
	return counts, nil
}
