package contracttest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// LocalEndpoint is a place where an agent may serve local callers, and a caller.
type LocalEndpoint struct {
	Server ports.StatusServer
	Client ports.StatusClient
	// Forbidden is a caller who may not ask. It is nil where the system cannot
	// tell callers apart.
	Forbidden ports.StatusClient
	// Closed is a server whose endpoint cannot be opened.
	Closed ports.StatusServer
}

// renewalSecret stands in the error of a renewal, which no caller may see.
const renewalSecret = "cak_contract0123456789"

// LocalStatus is the suite of ports.StatusServer and ports.StatusClient. Each
// fresh is an endpoint of its own, where no agent runs.
func LocalStatus(t *testing.T, fresh func(*testing.T) LocalEndpoint) {
	names(t, "LocalStatus")
	asks := map[string]func(context.Context, ports.StatusClient) error{
		"status": func(ctx context.Context, c ports.StatusClient) error {
			got, err := c.Status(ctx)
			if err != nil && got != (ports.Status{}) {
				t.Error("there is a status beside the error")
			}
			return err
		},
		"renew": func(ctx context.Context, c ports.StatusClient) error {
			got, err := c.RenewCertificates(ctx)
			if err != nil && got != (ports.RenewResult{}) {
				t.Error("there is a result beside the error")
			}
			return err
		},
	}

	t.Run("says how the agent stands at the moment", func(t *testing.T) {
		e := fresh(t)
		var now atomic.Pointer[ports.Status]
		now.Store(new(fullStatus()))
		serveStatus(t, e, ports.LocalCalls{Status: func() ports.Status { return *now.Load() }})
		for _, want := range []ports.Status{
			fullStatus(),
			{State: ports.StateStopped}, // all else unknown
			{State: ports.StateBlocked, Hostname: "dësk <17> & \"co\"\n", Blocked: "\u2028\x7f"},
		} {
			now.Store(&want)
			same(t, statusOf(t, e), want)
		}
	})
	t.Run("what is handed over is copied", func(t *testing.T) {
		e := fresh(t)
		mine := fullStatus()
		serveStatus(t, e, ports.LocalCalls{Status: func() ports.Status { return mine }})
		got := statusOf(t, e)
		*got.ClockSkew = time.Hour
		same(t, mine, fullStatus())
	})
	t.Run("brings the result of a renewal", func(t *testing.T) {
		is := is.New(t)
		e := fresh(t)
		want := ports.RenewResult{End: ports.RenewPending, Line: "an operator must approve: \"web-3\" & <co>"}
		serveStatus(t, e, ports.LocalCalls{RenewCertificates: func(context.Context) (ports.RenewResult, error) { return want, nil }})
		got, err := e.Client.RenewCertificates(t.Context())
		is.NoErr(err)
		is.Equal(got, want)
	})
	t.Run("a renewal that fails is no answer, and keeps its reason to itself", func(t *testing.T) {
		e := fresh(t)
		serveStatus(t, e, ports.LocalCalls{RenewCertificates: func(context.Context) (ports.RenewResult, error) {
			return ports.RenewResult{End: ports.RenewFailed, Line: "unfinished"}, errors.New(renewalSecret)
		}})
		statusError(t, asks["renew"](t.Context(), e.Client), ports.ErrNotAnswering)
	})
	t.Run("a status that does not come is given up within 2 s, a renewal is waited for", func(t *testing.T) {
		is := is.New(t)
		e := fresh(t)
		over, renewing := make(chan struct{}), make(chan struct{})
		release := sync.OnceFunc(func() { close(over) })
		serveStatus(t, e, ports.LocalCalls{
			Status: func() ports.Status { <-over; return ports.Status{} },
			RenewCertificates: func(context.Context) (ports.RenewResult, error) {
				close(renewing)
				<-over
				return ports.RenewResult{End: ports.RenewDone, Line: "done"}, nil
			},
		})
		t.Cleanup(release) // before the server's end, which waits for its calls
		renewed := make(chan ports.RenewResult, 1)
		go func() {
			result, err := e.Client.RenewCertificates(context.Background())
			if err != nil {
				t.Errorf("renewing: %v", err)
			}
			renewed <- result
		}()
		arrives(t, "the renewal begins", renewing)
		quickly(t, 2*time.Second+promptly, func() time.Duration {
			start := time.Now()
			statusError(t, asks["status"](t.Context(), e.Client), ports.ErrNotAnswering)
			return time.Since(start)
		})
		release()
		is.Equal(arrives(t, "the renewal's result", renewed), ports.RenewResult{End: ports.RenewDone, Line: "done"})
	})
	t.Run("callers do not wait for each other", func(t *testing.T) {
		e := fresh(t)
		all := make(chan struct{})
		var here atomic.Int32
		const callers = 8
		meet := func() { // nobody is answered before everybody has asked
			if here.Add(1) == callers {
				close(all)
			}
			<-all
		}
		serveStatus(t, e, ports.LocalCalls{
			Status: func() ports.Status { return ports.Status{State: ports.StateServing} },
			RenewCertificates: func(context.Context) (ports.RenewResult, error) {
				meet()
				return ports.RenewResult{End: ports.RenewDone, Line: "met"}, nil
			},
		})
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				if got, err := e.Client.RenewCertificates(within(t, time.Minute)); err != nil || got.Line != "met" {
					t.Errorf("got %+v, %v", got, err)
				}
			})
			wg.Go(func() {
				if got := statusOf(t, e); got.State != ports.StateServing {
					t.Errorf("got %+v", got)
				}
			})
		}
		wg.Wait()
	})
	for name, ask := range asks {
		t.Run(name+": nobody runs, before and after", func(t *testing.T) {
			is := is.New(t)
			e := fresh(t)
			statusError(t, ask(t.Context(), e.Client), ports.ErrNotRunning)
			stop := serveStatus(t, e, ports.LocalCalls{Status: fullStatus, RenewCertificates: renewedAtOnce})
			is.NoErr(answered(func() error { return ask(t.Context(), e.Client) }))
			is.NoErr(stop())
			statusError(t, ask(t.Context(), e.Client), ports.ErrNotRunning)
			serveStatus(t, e, ports.LocalCalls{Status: fullStatus, RenewCertificates: renewedAtOnce}) // again
			is.NoErr(answered(func() error { return ask(t.Context(), e.Client) }))
		})
		t.Run(name+": a caller without the rights", func(t *testing.T) {
			e := fresh(t)
			if e.Forbidden == nil {
				t.Skip("this system cannot tell callers apart")
			}
			serveStatus(t, e, ports.LocalCalls{
				Status: func() ports.Status { t.Error("it was asked"); return ports.Status{} },
				RenewCertificates: func(context.Context) (ports.RenewResult, error) {
					t.Error("it was asked")
					return ports.RenewResult{End: ports.RenewDone}, nil
				},
			})
			statusError(t, ask(t.Context(), e.Forbidden), ports.ErrForbidden)
		})
		t.Run(name+": a context that is done", func(t *testing.T) {
			e := fresh(t)
			serveStatus(t, e, ports.LocalCalls{Status: fullStatus, RenewCertificates: renewedAtOnce})
			statusError(t, ask(canceled(), e.Client), ports.ErrNotAnswering)
			is.New(t).NoErr(answered(func() error { return ask(t.Context(), e.Client) })) // and the agent goes on
		})
		t.Run(name+": a context that ends while the agent is silent", func(t *testing.T) {
			quickly(t, promptly, func() time.Duration {
				e := fresh(t)
				over, asked := make(chan struct{}), make(chan struct{}, 2)
				serveStatus(t, e, ports.LocalCalls{
					Status: func() ports.Status { asked <- struct{}{}; <-over; return ports.Status{} },
					RenewCertificates: func(context.Context) (ports.RenewResult, error) {
						asked <- struct{}{}
						<-over
						return ports.RenewResult{End: ports.RenewDone}, nil
					},
				})
				t.Cleanup(func() { close(over) }) // before the server's end
				ctx, cancel := context.WithCancel(t.Context())
				failed := make(chan error, 1)
				go func() { failed <- ask(ctx, e.Client) }()
				arrives(t, "the question", asked)
				start := time.Now()
				cancel()
				statusError(t, arrives(t, "the error", failed), ports.ErrNotAnswering)
				return time.Since(start)
			})
		})
	}
	t.Run("an agent that stops ends the renewal under way, and waits for its end", func(t *testing.T) {
		is := is.New(t)
		e := fresh(t)
		asked := make(chan struct{})
		var ended atomic.Bool
		stop := serveStatus(t, e, ports.LocalCalls{RenewCertificates: func(ctx context.Context) (ports.RenewResult, error) {
			close(asked)
			<-ctx.Done()
			ended.Store(true)
			return ports.RenewResult{}, errors.New(renewalSecret)
		}})
		failed := make(chan error, 1)
		go func() { failed <- asks["renew"](context.Background(), e.Client) }()
		arrives(t, "the question", asked)
		is.NoErr(stop())
		is.True(ended.Load()) // before Serve returned
		statusError(t, arrives(t, "the error", failed), ports.ErrNotAnswering)
	})
	t.Run("a context that is done when it serves", func(t *testing.T) {
		e := fresh(t)
		is.New(t).NoErr(e.Server.Serve(canceled(), ports.LocalCalls{Status: fullStatus}))
		statusError(t, asks["status"](t.Context(), e.Client), ports.ErrNotRunning)
	})
	t.Run("an endpoint that cannot be opened", func(t *testing.T) {
		err := fresh(t).Closed.Serve(within(t, soon), ports.LocalCalls{Status: fullStatus})
		is.New(t).True(err != nil) // nobody could ask
	})
}

// answered asks again as long as the agent is too busy to answer within the
// port's 2 s.
func answered(ask func() error) (err error) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if err = ask(); !errors.Is(err, ports.ErrNotAnswering) {
			return err
		}
	}
	return err
}

func statusOf(t *testing.T, e LocalEndpoint) (got ports.Status) {
	t.Helper()
	err := answered(func() (err error) { got, err = e.Client.Status(t.Context()); return err })
	if err != nil {
		t.Error(err)
	}
	return got
}

// serveStatus serves until the test's end, or until stop is called, which returns
// what Serve returned. It returns once the agent can be asked.
func serveStatus(t *testing.T, e LocalEndpoint, calls ports.LocalCalls) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	var result error
	var up atomic.Bool // until then only serveStatus asks
	asked := calls
	calls.Status = func() ports.Status {
		if !up.Load() {
			return ports.Status{}
		}
		return asked.Status()
	}
	go func() {
		defer close(ended)
		result = e.Server.Serve(ctx, calls)
	}()
	stop = func() error {
		cancel()
		select {
		case <-ended:
			return result
		case <-time.After(time.Minute):
			return errors.New("the server goes on after its context has ended")
		}
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		_, err := e.Client.Status(t.Context())
		if err == nil {
			up.Store(true)
			return stop
		}
		if time.Now().After(deadline) {
			t.Fatalf("the agent cannot be asked: %v", err)
		}
	}
}

// statusError checks that an error is of a kind, and of no other.
func statusError(t *testing.T, err, want error) {
	t.Helper()
	for _, kind := range []error{ports.ErrNotRunning, ports.ErrNotAnswering, ports.ErrForbidden} {
		if errors.Is(err, kind) != (kind == want) {
			t.Errorf("error %v, want one of kind %q", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), renewalSecret) {
		t.Error("a secret in the error")
	}
}

// arrives returns what comes next.
func arrives[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(time.Minute):
		t.Fatalf("waited in vain: %s", what)
	}
	return v
}

func renewedAtOnce(context.Context) (ports.RenewResult, error) {
	return ports.RenewResult{End: ports.RenewDone}, nil
}

// fullStatus is a status in which every field is set that callers are told.
func fullStatus() ports.Status {
	second := func(n int) time.Time { return time.Date(2031, 5, 6, 7, 8, n, 0, time.UTC) }
	return ports.Status{
		Version: "1.2.3", State: ports.StatePending, MachineUID: uid(1), MachineUIDSource: ports.SourceSystemUUID,
		AgentID: "6b0f4a3e-8b1c-4d59-9a4e-0c1d2e3f4a5b", Hostname: "web-3",
		Credential:  ports.CredentialStatus{Present: true, Source: ports.CredentialStored, StoredAt: second(1), Protection: "file", Fingerprint: "00112233"},
		Site:        ports.SiteStatus{State: ports.SiteStateRetrying, Since: second(2), NextAttempt: second(3), LastError: "a"},
		Issuer:      ports.IssuerStatus{State: ports.IssuerStatePending, Polls: 3, NextAttempt: second(5), LastError: "b"},
		Certificate: ports.CertificateReport{Status: ports.CertExpiringSoon, NotBefore: second(6), NotAfter: second(7), RenewAt: second(8), Subject: "CN=web-3", Detail: "c"},
		Relay:       ports.RelayStatus{State: ports.RelayStateConnecting, Since: second(9), LastError: "d"},
		ClockSkew:   new(-90 * time.Second), ListenerAddr: "127.0.0.1:12443", Blocked: "e",
	}
}
