package exitcode

import (
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

func TestOfEnrollIsTheWorseOfTheTwo(t *testing.T) {
	want := map[End]Code{NotAsked: Clean, Done: Clean, Cancelled: Clean, Undecided: InProgress, Refused: Error, Failed: Error, NotAllowed: Error}
	rank := map[Code]int{Clean: 0, InProgress: 1, Error: 2}
	for one, oneCode := range want {
		for other, otherCode := range want {
			worse := oneCode
			if rank[otherCode] > rank[oneCode] {
				worse = otherCode
			}
			if got := OfEnroll(one, other); got != worse {
				t.Errorf("ends %v and %v give %v, want %v", one, other, got, worse)
			}
		}
	}
}

func TestOfStatus(t *testing.T) {
	is := is.New(t)
	for state, want := range map[ports.OverallState]Code{
		ports.StateConnected: Clean, ports.StateServing: Clean,
		ports.StatePending: InProgress, ports.StateEnrolling: InProgress, ports.StateConnecting: InProgress,
		ports.StateStopped: Error, ports.StateNotConfigured: Error, ports.StateBlocked: Error, "": Error,
	} {
		is.Equal(OfStatus(state), want)
	}
}

func TestOfService(t *testing.T) {
	is := is.New(t)
	is.Equal(OfService(ports.ServiceRunning), Clean)
	for _, state := range []ports.ServiceState{
		ports.ServiceNotInstalled, ports.ServiceStopped, ports.ServiceStarting, ports.ServiceStopping, ports.ServiceFailed, "",
	} {
		is.Equal(OfService(state), Error)
	}
}

func TestOfRenew(t *testing.T) {
	is := is.New(t)
	is.Equal(OfRenew(ports.RenewDone), Clean)
	is.Equal(OfRenew(ports.RenewPending), InProgress)
	is.Equal(OfRenew(ports.RenewFailed), Error)
}
