package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/muster-agent/muster/domain/backoff"
	"github.com/muster-agent/muster/ports"
)

// retryBook remembers how each activity stands, in memory and on disk. It is
// safe for concurrent use.
type retryBook struct {
	store  ports.RetryStore
	policy ports.DelayPolicy
	wall   func() time.Time
	chance func() float64

	mu     sync.Mutex
	loaded bool
	record ports.RetryRecord
	begun  map[ports.Activity]bool // attempts that were noted and are not over
}

// entry is what is remembered of an activity for a target; another target
// starts from nothing. An error says that the record may not be used; the
// entry then is what this process knows.
func (b *retryBook) entry(ctx context.Context, activity ports.Activity, target string) (ports.RetryEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.load(ctx)
	e := b.record.Activities[activity]
	if e.Target != target {
		e = ports.RetryEntry{}
	}
	e.Target = target
	e.Attempts = maps.Clone(e.Attempts)
	return e, err
}

// begin notes an attempt on disk before it is made.
func (b *retryBook) begin(ctx context.Context, activity ports.Activity, target string) error {
	return b.change(ctx, activity, target, func(e *ports.RetryEntry) {
		e.LastAttempt = b.wall()
		e.Attempts[classOf(*e)]++
		if b.begun == nil {
			b.begun = map[ports.Activity]bool{}
		}
		b.begun[activity] = true
	})
}

// failure is how an attempt ended without success.
type failure struct {
	class      ports.DelayClass
	state      string
	text       string
	retryAfter time.Duration // what the server asked for; 0 if nothing
	refusal    *ports.Refusal
}

// failed notes how an attempt ended, whether or not it was noted before it was
// made, and returns the wait that follows. The wait holds even if the note could not be written.
func (b *retryBook) failed(ctx context.Context, activity ports.Activity, target string, f failure) (wait time.Duration, attempt int, err error) {
	err = b.change(ctx, activity, target, func(e *ports.RetryEntry) {
		now := b.wall()
		e.LastAttempt = now    // it is over now, and the next one is counted from here
		if b.begun[activity] { // it was counted as one more like the one before
			e.Attempts[classOf(*e)]--
		}
		delete(b.begun, activity)
		e.Attempts[f.class]++
		attempt = e.Attempts[f.class]
		wait = backoff.Wait(b.policy, f.class, attempt, b.chance())
		e.NotBefore = time.Time{}
		if f.retryAfter > 0 {
			wait = backoff.After(wait, f.retryAfter, b.chance())
			e.NotBefore = now.Add(wait)
		}
		e.Class, e.State, e.LastError = f.class, f.state, f.text
		e.Next = now.Add(wait)
		if e.Since.IsZero() {
			e.Since = now
		}
		if f.refusal != nil {
			e.Refusal = *f.refusal
		}
	})
	return wait, attempt, err
}

// asked is the wait that a Retry-After header asks for, 0 if none. A date in it
// is counted from the server's time, or from ours if that is not known.
func (b *retryBook) asked(retryAfter string, serverTime time.Time) time.Duration {
	if serverTime.IsZero() {
		serverTime = b.wall()
	}
	return backoff.ParseRetryAfter(retryAfter, serverTime)
}

// succeeded forgets what was counted against an activity.
func (b *retryBook) succeeded(ctx context.Context, activity ports.Activity) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	loadErr := b.load(ctx)
	delete(b.begun, activity)
	if _, there := b.record.Activities[activity]; !there {
		return loadErr
	}
	delete(b.record.Activities, activity)
	return errors.Join(loadErr, b.save(ctx))
}

// planned notes a success and when the next attempt is due.
func (b *retryBook) planned(ctx context.Context, activity ports.Activity, target string, due time.Duration) error {
	return b.change(ctx, activity, target, func(e *ports.RetryEntry) {
		*e = ports.RetryEntry{Target: target, Next: b.wall().Add(due)}
	})
}

// obey reports whether a frame type may be obeyed now, and notes that it is.
func (b *retryBook) obey(ctx context.Context, frame string, pause time.Duration) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	loadErr := b.load(ctx)
	now := b.wall()
	if last, ok := b.record.Obeyed[frame]; ok && !last.After(now) && now.Sub(last) < pause {
		return false, loadErr
	}
	if b.record.Obeyed == nil {
		b.record.Obeyed = map[string]time.Time{}
	}
	b.record.Obeyed[frame] = now
	return true, errors.Join(loadErr, b.save(ctx))
}

func (b *retryBook) change(ctx context.Context, activity ports.Activity, target string, change func(*ports.RetryEntry)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	loadErr := b.load(ctx)
	if b.record.Activities == nil {
		b.record.Activities = map[ports.Activity]ports.RetryEntry{}
	}
	e := b.record.Activities[activity]
	if e.Target != target {
		e = ports.RetryEntry{Target: target}
	}
	if e.Attempts == nil {
		e.Attempts = map[ports.DelayClass]int{}
	}
	change(&e)
	b.record.Activities[activity] = e
	return errors.Join(loadErr, b.save(ctx))
}

// load reads the record once it can be read. The caller holds mu.
func (b *retryBook) load(ctx context.Context) error {
	if b.loaded {
		return nil
	}
	record, err := b.store.LoadRetries(ctx)
	switch {
	case err == nil:
		known := b.record // what this process counted while the record could not be read
		b.record = record
		if b.record.Activities == nil {
			b.record.Activities = map[ports.Activity]ports.RetryEntry{}
		}
		maps.Copy(b.record.Activities, known.Activities)
	case errors.Is(err, ports.ErrNotStored), errors.Is(err, ports.ErrDamaged):
	default:
		return fmt.Errorf("reading what is remembered of earlier attempts: %w", err)
	}
	b.loaded = true
	return nil
}

// save writes the record, unless an earlier one could not be read: it is not
// written over. The caller holds mu.
func (b *retryBook) save(ctx context.Context) error {
	if !b.loaded {
		return nil // load has returned the error
	}
	if err := b.store.SaveRetries(ctx, b.record); err != nil {
		return fmt.Errorf("noting an attempt: %w", err)
	}
	return nil
}

// classOf is the class under which an attempt counts until it is over.
func classOf(e ports.RetryEntry) ports.DelayClass {
	if e.Class == "" {
		return ports.Transient
	}
	return e.Class
}
