// Package attempts remembers how each activity stands, in memory and on disk.
// It decides nothing: domain/retry does.
package attempts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// Record loads and saves the retry record. It is safe for concurrent use. Set
// the exported fields before the first call.
type Record struct {
	Store  ports.RetryStore
	Delays ports.DelayPolicy
	Wall   func() time.Time
	Chance func() float64 // draws from [0,1)

	mu     sync.Mutex
	loaded bool
	record ports.RetryRecord
	begun  map[ports.Activity]bool // attempts that were noted and are not over
}

// Entry is what is remembered of an activity for a target; another target
// starts from nothing. An error says that the record may not be used; the
// entry then is what this process knows.
func (r *Record) Entry(ctx context.Context, activity ports.Activity, target string) (ports.RetryEntry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.load(ctx)
	e := r.record.Of(activity, target)
	e.Attempts = maps.Clone(e.Attempts)
	return e, err
}

// Begin notes an attempt on disk before it is made.
func (r *Record) Begin(ctx context.Context, activity ports.Activity, target string) error {
	return r.change(ctx, activity, target, func(e ports.RetryEntry) ports.RetryEntry {
		if r.begun == nil {
			r.begun = map[ports.Activity]bool{}
		}
		r.begun[activity] = true
		return retry.Begin(e, r.Wall())
	})
}

// Failed notes how an attempt ended, whether or not it was noted before it was
// made, and returns the wait that follows. The wait holds even if the note
// could not be written.
func (r *Record) Failed(ctx context.Context, activity ports.Activity, target string, f retry.Failure) (pause retry.Pause, err error) {
	err = r.change(ctx, activity, target, func(e ports.RetryEntry) ports.RetryEntry {
		e, pause = retry.Fail(e, f, r.Delays, r.begun[activity], r.Wall(), r.Chance(), r.Chance())
		delete(r.begun, activity)
		return e
	})
	return pause, err
}

// Succeeded forgets what was counted against an activity.
func (r *Record) Succeeded(ctx context.Context, activity ports.Activity) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	loadErr := r.load(ctx)
	delete(r.begun, activity)
	if _, there := r.record.Activities[activity]; !there {
		return loadErr
	}
	delete(r.record.Activities, activity)
	return errors.Join(loadErr, r.save(ctx))
}

// Planned notes a success and when the next attempt is due.
func (r *Record) Planned(ctx context.Context, activity ports.Activity, target string, due time.Duration) error {
	return r.change(ctx, activity, target, func(ports.RetryEntry) ports.RetryEntry {
		return ports.RetryEntry{Target: target, Next: r.Wall().Add(due)}
	})
}

// Obey reports whether a frame of a type may be obeyed now, and notes that it
// is.
func (r *Record) Obey(ctx context.Context, frame string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	loadErr := r.load(ctx)
	now := r.Wall()
	if !retry.MayObey(r.record.Obeyed[frame], now) {
		return false, loadErr
	}
	if r.record.Obeyed == nil {
		r.record.Obeyed = map[string]time.Time{}
	}
	r.record.Obeyed[frame] = now
	return true, errors.Join(loadErr, r.save(ctx))
}

// Asked is the wait that a Retry-After header asks for, 0 if none. A date in it
// is counted from the server's time, or from ours if that is not known.
func (r *Record) Asked(retryAfter string, serverTime time.Time) time.Duration {
	if serverTime.IsZero() {
		serverTime = r.Wall()
	}
	return retry.ParseRetryAfter(retryAfter, serverTime)
}

// Local is a wait of class transient for something local, which is not
// remembered over a restart.
func (r *Record) Local(attempt int) retry.Pause {
	attempt = max(attempt, 1)
	return retry.Pause{Wait: retry.Wait(r.Delays, ports.Transient, attempt, r.Chance()), Class: ports.Transient, Attempt: attempt}
}

func (r *Record) change(ctx context.Context, activity ports.Activity, target string, change func(ports.RetryEntry) ports.RetryEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	loadErr := r.load(ctx)
	if r.record.Activities == nil {
		r.record.Activities = map[ports.Activity]ports.RetryEntry{}
	}
	r.record.Activities[activity] = change(r.record.Of(activity, target))
	return errors.Join(loadErr, r.save(ctx))
}

// load reads the record once it can be read. The caller holds mu.
func (r *Record) load(ctx context.Context) error {
	if r.loaded {
		return nil
	}
	record, err := r.Store.LoadRetries(ctx)
	switch {
	case err == nil:
		known := r.record // what this process counted while the record could not be read
		r.record = record
		if r.record.Activities == nil {
			r.record.Activities = map[ports.Activity]ports.RetryEntry{}
		}
		maps.Copy(r.record.Activities, known.Activities)
	case ports.Absent(err):
	default:
		return fmt.Errorf("reading what is remembered of earlier attempts: %w", err)
	}
	r.loaded = true
	return nil
}

// save writes the record, unless an earlier one could not be read: it is not
// written over. The caller holds mu.
func (r *Record) save(ctx context.Context) error {
	if !r.loaded {
		return nil // load has returned the error
	}
	if err := r.Store.SaveRetries(ctx, r.record); err != nil {
		return fmt.Errorf("noting an attempt: %w", err)
	}
	return nil
}
