package standing

import (
	"fmt"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Sentence says in plain words, without secrets, how the machine stands, as a
// supervisor shows it ("waiting for an operator since 10:04, next check at
// 10:05:02").
func Sentence(s ports.Status, now time.Time) string {
	switch s.State {
	case ports.StateBlocked:
		return "needs an operator: " + firstOf(s.Blocked, s.Site.LastError, s.Manager.LastError, s.Relay.LastError, s.Certificate.Detail)
	case ports.StatePending:
		if s.Manager.State == ports.ManagerStatePending {
			return "waiting for an operator's approval" + since(s.Manager.Since) + next(s.Manager.NextAttempt, now)
		}
		return "waiting for an operator's confirmation" + since(s.Site.Since) + next(s.Site.NextAttempt, now)
	case ports.StateEnrolling:
		if s.Site.State == ports.SiteStateRetrying {
			return "enrolling" + because(s.Site.LastError) + next(s.Site.NextAttempt, now)
		}
		return "enrolling at the manager" + because(s.Manager.LastError) + next(s.Manager.NextAttempt, now)
	case ports.StateConnecting:
		return "connecting to the relay" + because(s.Relay.LastError)
	case ports.StateConnected:
		return "connected to the relay" + since(s.Relay.Since)
	case ports.StateServing:
		return "serving with a valid certificate"
	case ports.StateNotConfigured:
		return "nothing is configured"
	case ports.StateStopped:
		return "stopped"
	}
	return string(s.State)
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return "see the log"
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + t.Format("15:04")
}

func next(t, now time.Time) string {
	if t.IsZero() || !t.After(now) {
		return ""
	}
	return fmt.Sprintf(", next check in %v", t.Sub(now).Round(time.Second))
}
