package statedir

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/muster-agent/muster/ports"
)

type retryJSON struct {
	Activities map[ports.Activity]retryEntryJSON `json:"activities"`
	Obeyed     map[string]time.Time              `json:"obeyed,omitempty"`
}

type retryEntryJSON struct {
	Target      string                   `json:"target,omitempty"`
	Attempts    map[ports.DelayClass]int `json:"attempts,omitempty"`
	LastAttempt time.Time                `json:"last_attempt,omitzero"`
	NotBefore   time.Time                `json:"not_before,omitzero"`
	Next        time.Time                `json:"next,omitzero"`
	Class       ports.DelayClass         `json:"class,omitempty"`
	Since       time.Time                `json:"since,omitzero"`
	State       string                   `json:"state,omitempty"`
	LastError   string                   `json:"last_error,omitempty"`
	Refusal     refusalJSON              `json:"refusal,omitzero"`
}

type refusalJSON struct {
	Since     time.Time `json:"since,omitzero"`
	Code      string    `json:"code,omitempty"`
	Count     int       `json:"count,omitempty"`
	CodeSince time.Time `json:"code_since,omitzero"`
}

func retryToJSON(r ports.RetryRecord) retryJSON {
	j := retryJSON{Activities: map[ports.Activity]retryEntryJSON{}, Obeyed: map[string]time.Time{}}
	for activity, e := range r.Activities {
		j.Activities[activity] = retryEntryJSON{
			Target:      e.Target,
			Attempts:    e.Attempts,
			LastAttempt: e.LastAttempt.UTC(),
			NotBefore:   e.NotBefore.UTC(),
			Next:        e.Next.UTC(),
			Class:       e.Class,
			Since:       e.Since.UTC(),
			State:       e.State,
			LastError:   e.LastError,
			Refusal: refusalJSON{
				Since:     e.Refusal.Since.UTC(),
				Code:      e.Refusal.Code,
				Count:     e.Refusal.Count,
				CodeSince: e.Refusal.CodeSince.UTC(),
			},
		}
	}
	for frame, at := range r.Obeyed {
		j.Obeyed[frame] = at.UTC()
	}
	return j
}

func (j retryJSON) record() ports.RetryRecord {
	r := ports.RetryRecord{Activities: map[ports.Activity]ports.RetryEntry{}, Obeyed: map[string]time.Time{}}
	for activity, e := range j.Activities {
		if e.Attempts == nil {
			e.Attempts = map[ports.DelayClass]int{}
		}
		r.Activities[activity] = ports.RetryEntry{
			Target:      e.Target,
			Attempts:    e.Attempts,
			LastAttempt: e.LastAttempt.UTC(),
			NotBefore:   e.NotBefore.UTC(),
			Next:        e.Next.UTC(),
			Class:       e.Class,
			Since:       e.Since.UTC(),
			State:       e.State,
			LastError:   e.LastError,
			Refusal: ports.Refusal{
				Since:     e.Refusal.Since.UTC(),
				Code:      e.Refusal.Code,
				Count:     e.Refusal.Count,
				CodeSince: e.Refusal.CodeSince.UTC(),
			},
		}
	}
	for frame, at := range j.Obeyed {
		r.Obeyed[frame] = at.UTC()
	}
	return r
}

func retryRecord(d *Dir) record[ports.RetryRecord] {
	return newRecord(recordFile{
		dir: d, folder: enrollmentFolder, name: retryFile, format: 1,
	}, marshalRetries, unmarshalRetries)
}

func marshalRetries(r ports.RetryRecord) ([]byte, error) {
	return json.Marshal(retryToJSON(r))
}

func unmarshalRetries(_ int, payload []byte) (ports.RetryRecord, error) {
	var j retryJSON
	if json.Unmarshal(payload, &j) != nil || j.Activities == nil {
		return ports.RetryRecord{}, errors.New("it holds no record of attempts")
	}
	return j.record(), nil
}

// LoadRetries implements ports.RetryStore.
func (d *Dir) LoadRetries(ctx context.Context) (ports.RetryRecord, error) {
	return d.retries.read(ctx)
}

// SaveRetries implements ports.RetryStore.
func (d *Dir) SaveRetries(ctx context.Context, r ports.RetryRecord) error {
	return d.retries.write(ctx, r)
}
