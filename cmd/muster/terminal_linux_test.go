package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/matryer/is"
)

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
			environ := machineIn(dir, append(s.environ, tt.environ...)...)
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
