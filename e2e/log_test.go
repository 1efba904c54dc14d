package e2e

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// log collects what a process writes.
type log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed when there is more to read
}

func newLog() *log { return &log{changed: make(chan struct{})} }

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tail is the newest of what was written, for a test that failed.
func (l *log) tail() string {
	const most = 40
	lines := strings.SplitAfter(l.String(), "\n")
	if len(lines) <= most {
		return strings.Join(lines, "")
	}
	return "…\n" + strings.Join(lines[len(lines)-most:], "")
}

// line is one event of the agent's log.
type line struct {
	Event, Level, Msg string

	// What waiting logs; Wait is a duration.
	Wait, Class string
	Attempt     int

	Action string // of store.recovered
	PID    int    // of lock
	Addr   string // of listening
	Serial string // of certs.installed and certs.renewed
}

func (l line) wait() time.Duration {
	d, err := time.ParseDuration(l.Wait)
	if err != nil {
		return -1
	}
	return d
}

// lines are those with an event, all for "", and a channel that is closed when
// there is more to read.
func (l *log) lines(event string) ([]line, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []line
	for text := range strings.Lines(l.text.String()) {
		var one line
		if json.Unmarshal([]byte(text), &one) == nil && (event == "" || one.Event == event) {
			found = append(found, one)
		}
	}
	return found, l.changed
}
