package winservice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"

	"github.com/muster-agent/muster/ports"
)

const (
	// StopWithin is how long the service may take to end, however much it has
	// to do. It is less than the 30 s after which an installer that waits for it
	// (ServiceControl table) fails.
	StopWithin = 20 * time.Second
	// progress is the interval at which the service control manager is told of
	// progress while something takes its time. It gives up on a service that
	// says nothing for as long as its last hint.
	progress = 2 * time.Second
	hint     = 30 * time.Second
)

// Run runs serve as the service of that name, in a process that the service
// control manager started. The service counts as running once serve has called
// Ready. ctx ends when the service or the machine is to stop, not when a user logs
// off. The service ends with serve's code, or with 0 where serve goes on for
// StopWithin after that; the caller then has to end the process.
//
// A sleep of the machine needs no special care: the clocks of package time go on
// meanwhile, and Go's runtime looks at its timers when the machine wakes up.
func Run(name string, serve func(ctx context.Context, supervisor ports.Supervisor) (code int)) error {
	if err := stayThroughLogoff(); err != nil {
		return err
	}
	err := svc.Run(name, &host{serve: serve, stopWithin: StopWithin, progress: progress})
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return errors.New("only the service control manager starts the program in this way: use 'muster service start', or 'muster run' to run it here")
	}
	if err != nil {
		return fmt.Errorf("running as the service %s: %w", name, err)
	}
	return nil
}

// stayThroughLogoff keeps the process from ending when a user logs off or the
// machine shuts down: Go's runtime makes a SIGTERM of both. The service control
// manager tells when the machine shuts down.
func stayThroughLogoff() error {
	const handled, notHandled = 1, 0
	handler := windows.NewCallback(func(event uint32) uintptr {
		switch event {
		case windows.CTRL_LOGOFF_EVENT, windows.CTRL_SHUTDOWN_EVENT:
			return handled
		}
		return notHandled
	})
	set := windows.NewLazySystemDLL("kernel32.dll").NewProc("SetConsoleCtrlHandler")
	if ok, _, err := set.Call(handler, 1); ok == 0 {
		return fmt.Errorf("outliving a user's logging off: %w", err)
	}
	return nil
}

// host implements svc.Handler.
type host struct {
	serve                func(context.Context, ports.Supervisor) int
	stopWithin, progress time.Duration
}

// Execute implements svc.Handler.
func (h *host) Execute(_ []string, requests <-chan svc.ChangeRequest, states chan<- svc.Status) (specific bool, code uint32) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	supervisor := newSupervisor()
	ready, stopping := supervisor.ready, supervisor.stopping
	ended := make(chan int, 1)
	go func() { ended <- h.serve(ctx, supervisor) }()

	status := svc.Status{State: svc.StartPending, WaitHint: uint32(hint / time.Millisecond)}
	tick := time.NewTicker(h.progress)
	defer tick.Stop()
	var tooLate <-chan time.Time
	stop := func() {
		ready, stopping = nil, nil
		status = svc.Status{State: svc.StopPending, WaitHint: uint32(hint / time.Millisecond)}
		states <- status
	}
	states <- status
	for {
		select {
		case code := <-ended:
			return code != 0, uint32(code)
		case <-tooLate:
			return false, 0 // it was told to stop, and does
		case <-ready:
			ready = nil
			status = svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown | svc.AcceptPreShutdown}
			states <- status
		case <-stopping:
			stop()
		case <-tick.C:
			if status.State != svc.Running {
				status.CheckPoint++
				states <- status
			}
		case request := <-requests:
			switch request.Cmd {
			case svc.Interrogate:
				states <- status
			case svc.Stop, svc.Shutdown, svc.PreShutdown:
				if tooLate != nil {
					break
				}
				tooLate = time.After(h.stopWithin)
				stop()
				cancel()
			}
		}
	}
}

// supervisor implements ports.Supervisor for a process that is a service.
type supervisor struct {
	ready, stopping       chan struct{}
	sayReady, sayStopping func()
}

func newSupervisor() *supervisor {
	s := &supervisor{ready: make(chan struct{}), stopping: make(chan struct{})}
	s.sayReady, s.sayStopping = sync.OnceFunc(func() { close(s.ready) }), sync.OnceFunc(func() { close(s.stopping) })
	return s
}

// Ready implements ports.Supervisor.
func (s *supervisor) Ready() error { s.sayReady(); return nil }

// Stopping implements ports.Supervisor.
func (s *supervisor) Stopping() error { s.sayStopping(); return nil }

// Status implements ports.Supervisor: the service control manager keeps no such
// line.
func (*supervisor) Status(string) error { return nil }

// Reloading implements ports.Supervisor: a service that reads its configuration
// again is running.
func (*supervisor) Reloading() error { return nil }

// Alive implements ports.Supervisor: nobody watches.
func (*supervisor) Alive() error { return nil }

// WatchdogInterval implements ports.Supervisor.
func (*supervisor) WatchdogInterval() time.Duration { return 0 }
