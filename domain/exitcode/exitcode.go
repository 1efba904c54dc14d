// Package exitcode maps how a command ended to its exit code (docs/SPEC.md,
// "Exit codes").
package exitcode

import "github.com/muster-agent/muster/ports"

// Code is an exit code of muster.
type Code int

// The codes.
const (
	Clean      Code = 0 // done, or told to stop, or nothing to do
	Error      Code = 1 // bad configuration or usage, refused, failed
	InProgress Code = 2 // an operator's decision is still awaited
)

// End is how one enrollment of the enroll command ended.
type End int

// The ends of an enrollment.
const (
	NotAsked   End = iota // not configured, while the other one is
	Done                  // enrolled, now or before
	Refused               // an operator must change something
	Failed                // time would heal it, but the tries are used up
	Undecided             // an operator's decision is awaited
	Cancelled             // stopped before anything was decided
	NotAllowed            // nothing is configured, or the state may not be used
)

// OfEnroll returns the code of the enroll command: the worse of those of its two
// enrollments, where 1 is worse than 2, and 2 is worse than 0.
func OfEnroll(ends ...End) Code {
	code := Clean
	for _, end := range ends {
		switch end {
		case NotAsked, Done, Cancelled:
		case Refused, Failed, NotAllowed:
			return Error
		case Undecided:
			code = InProgress
		}
	}
	return code
}

// OfStatus returns the code of the status command (docs/SPEC.md, "Overall
// state").
func OfStatus(state ports.OverallState) Code {
	switch state {
	case ports.StateConnected, ports.StateServing:
		return Clean
	case ports.StatePending, ports.StateEnrolling, ports.StateConnecting:
		return InProgress
	case ports.StateStopped, ports.StateNotConfigured, ports.StateBlocked:
		return Error
	}
	return Error
}

// OfService returns the code of the command `service status`: Clean for a service
// that runs.
func OfService(state ports.ServiceState) Code {
	if state == ports.ServiceRunning {
		return Clean
	}
	return Error
}

// OfRenew is the code of the command renew-certs.
func OfRenew(end ports.RenewEnd) Code {
	switch end {
	case ports.RenewDone:
		return Clean
	case ports.RenewPending:
		return InProgress
	case ports.RenewFailed:
	}
	return Error
}
