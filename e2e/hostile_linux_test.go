package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// memoryLimit is what the agent may come to, in bytes, whatever a server sends.
const memoryLimit = 64 << 20

// What never ends is given up, and costs little until then. (That a slow one is
// given up after 30 s is shown in adapters/siteapi.)
func TestAnAnswerThatNeverEndsCostsLittleMemory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	w := tap(t, startServer(t), func(http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
			piece := []byte(strings.Repeat(" ", 64<<10))
			for r.Context().Err() == nil {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}
	})
	m := newMachine(t, nil)
	m.configure(w.URL, w.CA)
	a := m.start()
	l := a.logged("enroll.retry", 3)
	is.Equal(l.Class, "transient")
	is.True(strings.Contains(l.Msg, "1 MiB")) // the limit
	w.passOn()
	a.connected()
	if peak := peakMemory(t, a); peak > memoryLimit {
		t.Errorf("the agent's resident memory came to %d MiB", peak>>20)
	}
}

// peakMemory is the most resident memory that the agent has had, in bytes
// (VmHWM of proc(5)).
func peakMemory(t *testing.T, a *agent) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatalf("there is no VmHWM in\n%s", text)
	return 0
}
