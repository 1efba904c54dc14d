package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/sys/unix"
)

// pty is a pseudo-terminal: its program's end, and what a person sees of it.
func pty(t *testing.T) (program, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() }) // it has been read
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() }) // nothing more is written
	return program, person
}

// At a terminal no line of the log comes between those for the person; where a
// level is asked for, and where nobody looks, they come as they always did.
func TestThePersonsLinesAreAloneAtATerminal(t *testing.T) {
	for name, tt := range map[string]struct {
		terminal bool
		args     []string
		environ  []string
		logged   bool
	}{
		"at a terminal":              {true, []string{"enroll"}, nil, false},
		"the flag":                   {true, []string{"--enroll"}, nil, false},
		"at a terminal, with a flag": {true, []string{"enroll", "--log-level", "info"}, nil, true},
		"with a variable":            {true, []string{"enroll"}, []string{"MUSTER_LOG_LEVEL=info"}, true},
		"redirected":                 {false, []string{"enroll"}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			s, dir := newSite(t), t.TempDir()
			var out bytes.Buffer
			var log, read *os.File
			if tt.terminal {
				log, read = pty(t)
			} else {
				var err error
				read, log, err = os.Pipe()
				is.NoErr(err)
			}
			environ := append([]string{
				"MUSTER_STATE_DIR=" + dir, "MUSTER_MACHINE_UID=muid_" + strings.Repeat("0123456789abcdef", 4), "MUSTER_LISTEN_ADDR=off",
			}, append(s.environ, tt.environ...)...)
			code := run(t.Context(), tt.args, environ, strings.NewReader(""), &out, log)
			is.Equal(int(code), 0)
			is.True(strings.Contains(out.String(), "Enrolled")) // the person's lines
			_, err := fmt.Fprintln(log, "the end")
			is.NoErr(err)
			seen := make([]byte, 1<<16)
			var text string
			for !strings.Contains(text, "the end") {
				n, err := read.Read(seen)
				is.NoErr(err)
				text += string(seen[:n])
			}
			is.Equal(strings.Contains(text, "level=INFO"), tt.logged)
		})
	}
}
