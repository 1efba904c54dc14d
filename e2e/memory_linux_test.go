package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

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
