//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// idles watches both programs, started again and connected, at the same time.
func (b *bench) idles(w io.Writer) error {
	var services [2]*service
	for n, p := range b.programs {
		machine := b.machine()
		s, err := b.start(p, machine)
		if err != nil {
			return err
		}
		if err := s.stop(); err != nil {
			return err
		}
		if services[n], err = b.start(p, machine); err != nil {
			return err
		}
	}
	if err := sleep(b.ctx, b.settle); err != nil {
		return err
	}
	var before, after [2]usage
	for n, s := range services {
		var err error
		if before[n], err = readUsage(s.cmd.Process.Pid); err != nil {
			return err
		}
	}
	if err := sleep(b.ctx, b.idle); err != nil {
		return err
	}
	var resident, private, cpu, switches, threads [2]samples
	for n, s := range services {
		var err error
		if after[n], err = readUsage(s.cmd.Process.Pid); err != nil {
			return err
		}
		resident[n].add(after[n].resident)
		private[n].add(after[n].private)
		threads[n].add(float64(after[n].threads))
		cpu[n].addMS(after[n].cpu - before[n].cpu)
		switches[n].add(float64(after[n].switches - before[n].switches))
		if err := s.stop(); err != nil {
			return err
		}
	}
	t := newTable(w, fmt.Sprintf("idle for %v, connected after a restart", b.idle))
	t.row("resident MB", resident[0], resident[1])
	t.row("of it not file pages MB", private[0], private[1])
	t.row("CPU ms", cpu[0], cpu[1])
	t.row("context switches", switches[0], switches[1])
	t.row("threads", threads[0], threads[1])
	return t.end()
}

// usage is what a running process has used, over all its threads.
type usage struct {
	resident, private float64 // MB of 10⁶ bytes
	cpu               time.Duration
	switches, threads int
}

// readUsage reads proc(5).
func readUsage(pid int) (usage, error) {
	var u usage
	process := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := readFields(filepath.Join(process, "status"))
	if err != nil {
		return u, err
	}
	const kB = 1024 / 1e6 // the kernel's kB, in MB
	u.resident = float64(status["VmRSS"]) * kB
	u.private = float64(status["RssAnon"]) * kB
	tasks, err := filepath.Glob(filepath.Join(process, "task", "*"))
	if err != nil {
		return u, err
	}
	for _, task := range tasks {
		status, err := readFields(filepath.Join(task, "status"))
		if err != nil {
			return u, err
		}
		u.threads++
		u.switches += status["voluntary_ctxt_switches"] + status["nonvoluntary_ctxt_switches"]
		text, err := os.ReadFile(filepath.Join(task, "schedstat"))
		if err != nil {
			return u, fmt.Errorf("read a thread's CPU time: %w", err)
		}
		nanoseconds, err := strconv.ParseInt(strings.Fields(string(text) + " ?")[0], 10, 64)
		if err != nil {
			return u, fmt.Errorf("read a thread's CPU time: %w", err)
		}
		u.cpu += time.Duration(nanoseconds)
	}
	return u, nil
}

// readFields reads the numbers of a status file.
func readFields(name string) (map[string]int, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read what a process uses: %w", err)
	}
	fields := map[string]int{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if number, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB")); err == nil {
			fields[key] = number
		}
	}
	return fields, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
