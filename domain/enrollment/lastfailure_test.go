package enrollment

import (
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

func TestLastFailure(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC) }
	entry := func(minute int, state string) ports.RetryEntry {
		return ports.RetryEntry{LastAttempt: at(minute), State: state}
	}
	token := ports.PendingIssue{Phase: ports.PhasePending, Resume: ports.NewSecret("a-token"), SubmittedAt: at(10)}
	for name, tt := range map[string]struct {
		pending        ports.PendingIssue
		register, poll ports.RetryEntry
		state          string
	}{
		"nothing was met":                       {},
		"a registration was refused":            {register: entry(1, "conflict"), state: "conflict"},
		"a poll ended the enrollment":           {poll: entry(1, "denied"), state: "denied"},
		"refused after a denial":                {register: entry(2, "conflict"), poll: entry(1, "denied"), state: "conflict"},
		"denied after an older refusal":         {register: entry(1, "conflict"), poll: entry(2, "denied"), state: "denied"},
		"with a token, a poll failed":           {pending: token, poll: entry(10, "unexpected"), state: "unexpected"},
		"with a token, the denial of a former":  {pending: token, poll: entry(9, "denied")},
		"with a token, an old registration too": {pending: token, register: entry(11, "retrying"), poll: entry(9, "denied")},
	} {
		t.Run(name, func(t *testing.T) {
			is.New(t).Equal(LastFailure(tt.pending, tt.register, tt.poll).State, tt.state)
		})
	}
}
