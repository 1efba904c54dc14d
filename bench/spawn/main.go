//go:build linux

// Command spawn runs a program and writes to file descriptor 3 what it cost:
// wall-clock nanoseconds, CPU nanoseconds and peak resident KiB, on one line.
//
// It stands between the bench and what is measured because Linux counts the
// memory of the process that starts a program towards the program's peak, and
// this one is small.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

func main() {
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	begin := time.Now()
	process, err := os.StartProcess(os.Args[1], os.Args[1:], &os.ProcAttr{Files: files})
	if err != nil {
		fail(err)
	}
	state, err := process.Wait()
	wall := time.Since(begin)
	if err != nil {
		fail(err)
	}
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		os.Exit(125)
	}
	cpu := state.UserTime() + state.SystemTime()
	line := strconv.FormatInt(wall.Nanoseconds(), 10) + " " + strconv.FormatInt(cpu.Nanoseconds(), 10) + " " + strconv.FormatInt(usage.Maxrss, 10) + "\n"
	if _, err := os.NewFile(3, "result").WriteString(line); err != nil {
		fail(err)
	}
	if !state.Success() {
		os.Exit(1)
	}
}

func fail(err error) {
	println("spawn:", err.Error())
	os.Exit(125)
}
