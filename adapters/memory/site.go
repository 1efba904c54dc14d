package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/muster-agent/muster/adapters/internal/redact"
	"github.com/muster-agent/muster/ports"
)

// Site implements ports.SiteEnroller. The zero value is a server that enrolls
// everyone: it gives each new machine a key, and each known one another key.
type Site struct {
	// Answer, if set, decides every answer. It may block until ctx is done,
	// as a silent server does (see SilentSite); no outcome is a transient failure.
	// Set it before the first request.
	Answer func(ctx context.Context, request ports.SiteRequest) ports.Answer[ports.SiteOutcome]

	mu       sync.Mutex
	script   []ports.Answer[ports.SiteOutcome]
	requests []SiteRequest
	minted   int
	keys     map[string]ports.Secret
}

var _ ports.SiteEnroller = (*Site)(nil)

// SiteRequest is a request that reached the server.
type SiteRequest struct {
	ports.SiteRequest
	At time.Time
}

// Script queues answers. They are given before anything else, one to each
// request.
func (e *Site) Script(outcomes ...ports.SiteOutcome) {
	answers := make([]ports.Answer[ports.SiteOutcome], len(outcomes))
	for i, o := range outcomes {
		answers[i].Outcome = o
	}
	e.ScriptAnswers(answers...)
}

// ScriptAnswers is Script for answers that have more than an outcome.
func (e *Site) ScriptAnswers(answers ...ports.Answer[ports.SiteOutcome]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.script = append(e.script, answers...)
}

// SilentSite is an Answer: the server takes every request and never answers.
func SilentSite(ctx context.Context, _ ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
	<-ctx.Done()
	return ports.Answer[ports.SiteOutcome]{}
}

// Enroll implements ports.SiteEnroller.
func (e *Site) Enroll(ctx context.Context, request ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
	limited, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	if limited.Err() != nil {
		return siteFailed(ctx)
	}
	answer := e.take(request)(limited, request)
	if answer.Outcome == nil {
		return siteFailed(ctx)
	}
	answer.Outcome = redactSite(answer.Outcome, request.EnrollmentKey)
	return answer
}

// redactSite redacts the words of an outcome.
func redactSite(outcome ports.SiteOutcome, key ports.Secret) ports.SiteOutcome {
	switch o := outcome.(type) {
	case ports.SiteRejected:
		return ports.SiteRejected{Detail: redact.Words(o.Detail, key)}
	case ports.SiteConflict:
		return ports.SiteConflict{Detail: redact.Words(o.Detail, key)}
	case ports.SiteUnexpected:
		return ports.SiteUnexpected{Status: o.Status, Detail: redact.Words(o.Detail, key)}
	case ports.SiteTransient:
		return ports.SiteTransient{Reason: redact.Words(o.Reason, key)}
	case ports.SiteEnrolledNew, ports.SiteEnrolledAgain, ports.SiteCollisionPending, ports.SiteRateLimited:
	}
	return outcome
}

// take notes a request and returns what answers it.
func (e *Site) take(request ports.SiteRequest) func(context.Context, ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
	e.mu.Lock()
	defer e.mu.Unlock()
	request.Labels.Tags = slices.Clone(request.Labels.Tags)
	e.requests = append(e.requests, SiteRequest{request, time.Now()})
	if len(e.script) > 0 {
		answer := e.script[0]
		e.script = e.script[1:]
		return func(context.Context, ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
			return e.learn(request, answer)
		}
	}
	if e.Answer != nil {
		return func(ctx context.Context, request ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
			return e.learn(request, e.Answer(ctx, request))
		}
	}
	return e.mint
}

// Requests returns all requests, oldest first.
func (e *Site) Requests() []SiteRequest {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.requests)
}

// Key is the newest key of a machine, the only one that is not void; empty if
// it has none.
func (e *Site) Key(machineUID string) ports.Secret {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.keys[machineUID]
}

// mint answers as a healthy server does.
func (e *Site) mint(_ context.Context, request ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
	e.mu.Lock()
	e.minted++
	key := ports.NewSecret(fmt.Sprintf("cak_memory%012d", e.minted))
	_, known := e.keys[request.MachineUID]
	e.mu.Unlock()
	if known {
		return e.learn(request, ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteEnrolledAgain{Key: key}})
	}
	return e.learn(request, ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteEnrolledNew{Key: key}})
}

// learn keeps the key of an answer.
func (e *Site) learn(request ports.SiteRequest, answer ports.Answer[ports.SiteOutcome]) ports.Answer[ports.SiteOutcome] {
	key := ports.Secret{}
	if o, ok := answer.Outcome.(ports.SiteEnrolledNew); ok {
		key = o.Key
	} else if o, ok := answer.Outcome.(ports.SiteEnrolledAgain); ok {
		key = o.Key
	} else {
		return answer
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.keys == nil {
		e.keys = make(map[string]ports.Secret)
	}
	e.keys[request.MachineUID] = key
	return answer
}

func siteFailed(ctx context.Context) ports.Answer[ports.SiteOutcome] {
	reason := "enrolling failed: timed out"
	if ctx.Err() != nil {
		reason = "enrolling failed: interrupted"
	}
	return ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteTransient{Reason: reason}}
}
