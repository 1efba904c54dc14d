package statedir

import (
	"context"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/muster-agent/muster/ports"
)

// pendingFormat is 3 since the record says its phase (2 is protectedFormat). In
// format 1 the token and the idempotency key said it.
const pendingFormat = 3

type pendingJSON struct {
	ManagerURL     string           `json:"manager_url"`
	Phase          ports.IssuePhase `json:"phase"`
	IdempotencyKey string           `json:"idempotency_key,omitempty"`
	Token          string           `json:"polling_token,omitempty"`
	RegisteredAt   time.Time        `json:"registered_at,omitzero"`
	Polls          int              `json:"polls,omitempty"`
}

func (p pendingJSON) check() error {
	if p.ManagerURL == "" {
		return errors.New("the enrollment's record does not say at which manager it is")
	}
	switch p.Phase {
	case ports.PhaseIdle, ports.PhaseSubmitted:
		return nil
	case ports.PhasePending:
		if p.Token == "" {
			return errors.New("the enrollment's record awaits a decision and has nothing to ask for it with")
		}
		return nil
	}
	return errors.New("the enrollment's record is of no phase that this version knows")
}

// phase1 is the phase of a record of format 1.
func (p pendingJSON) phase1() ports.IssuePhase {
	switch {
	case p.Token != "":
		return ports.PhasePending
	case p.IdempotencyKey != "":
		return ports.PhaseSubmitted
	}
	return ports.PhaseIdle
}

func pendingRecord(d *Dir) record[ports.PendingIssue] {
	return newRecord(recordFile{
		dir: d, folder: enrollmentFolder, name: pendingFile, format: pendingFormat, private: true, readBack: true,
		purpose: "pending enrollment",
	}, marshalPending, unmarshalPending)
}

func marshalPending(p ports.PendingIssue) ([]byte, error) {
	j := pendingJSON{
		ManagerURL:     p.Issuer,
		Phase:          p.Phase,
		IdempotencyKey: p.IdempotencyKey,
		Token:          p.Resume.Reveal(), // into the file that protects it
		RegisteredAt:   p.SubmittedAt.UTC(),
		Polls:          p.Polls,
	}
	if !utf8.ValidString(j.Token) {
		return nil, errors.New("the polling token is not UTF-8 text and would be changed")
	}
	if err := j.check(); err != nil {
		return nil, err
	}
	return json.Marshal(j)
}

func unmarshalPending(format int, payload []byte) (ports.PendingIssue, error) {
	var j pendingJSON
	if json.Unmarshal(payload, &j) != nil { // its message quotes what it read
		return ports.PendingIssue{}, errors.New("it holds no record of an enrollment")
	}
	if format == 1 {
		j.Phase = j.phase1()
	}
	if err := j.check(); err != nil {
		return ports.PendingIssue{}, err
	}
	return ports.PendingIssue{
		Issuer:         j.ManagerURL,
		Phase:          j.Phase,
		IdempotencyKey: j.IdempotencyKey,
		Resume:         ports.NewSecret(j.Token),
		SubmittedAt:    j.RegisteredAt.UTC(),
		Polls:          j.Polls,
	}, nil
}

// LoadPending implements ports.IssueJournal.
func (d *Dir) LoadPending(ctx context.Context) (ports.PendingIssue, error) {
	return d.pending.read(ctx)
}

// SavePending implements ports.IssueJournal. A request without an issuer's URL
// or a phase is refused with ErrNotWritten.
func (d *Dir) SavePending(ctx context.Context, p ports.PendingIssue) error {
	return d.pending.write(ctx, p)
}
