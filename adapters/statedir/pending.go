package statedir

import (
	"context"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/muster-agent/muster/ports"
)

type pendingJSON struct {
	ManagerURL     string    `json:"manager_url"`
	IdempotencyKey string    `json:"idempotency_key,omitempty"`
	Token          string    `json:"polling_token,omitempty"`
	RegisteredAt   time.Time `json:"registered_at,omitzero"`
	Polls          int       `json:"polls,omitempty"`
}

func (p pendingJSON) check() error {
	if p.ManagerURL == "" {
		return errors.New("the enrollment's record does not say at which manager it is")
	}
	return nil
}

func pendingRecord(d *Dir) record[ports.PendingEnrollment] {
	return record[ports.PendingEnrollment]{
		dir: d, folder: enrollmentFolder, name: pendingFile, format: 1, private: true, readBack: true,
		purpose: "pending enrollment", machineUID: func(ports.PendingEnrollment) string { return d.machineUID() },
		marshal: func(p ports.PendingEnrollment) ([]byte, error) {
			j := pendingJSON{
				ManagerURL:     p.ManagerURL,
				IdempotencyKey: p.IdempotencyKey,
				Token:          p.Token.Reveal(), // into the file that protects it
				RegisteredAt:   p.RegisteredAt.UTC(),
				Polls:          p.Polls,
			}
			if !utf8.ValidString(j.Token) {
				return nil, errors.New("the polling token is not UTF-8 text and would be changed")
			}
			if err := j.check(); err != nil {
				return nil, err
			}
			return json.Marshal(j)
		},
		unmarshal: func(_ int, payload []byte) (ports.PendingEnrollment, error) {
			var j pendingJSON
			if json.Unmarshal(payload, &j) != nil { // its message quotes what it read
				return ports.PendingEnrollment{}, errors.New("it holds no record of an enrollment")
			}
			if err := j.check(); err != nil {
				return ports.PendingEnrollment{}, err
			}
			return ports.PendingEnrollment{
				ManagerURL:     j.ManagerURL,
				IdempotencyKey: j.IdempotencyKey,
				Token:          ports.NewSecret(j.Token),
				RegisteredAt:   j.RegisteredAt.UTC(),
				Polls:          j.Polls,
			}, nil
		},
	}
}

// LoadPending implements ports.ManagerJournal.
func (d *Dir) LoadPending(ctx context.Context) (ports.PendingEnrollment, error) {
	end, err := d.begin(ctx)
	if err != nil {
		return ports.PendingEnrollment{}, err
	}
	defer end()
	return d.pending.load()
}

// SavePending implements ports.ManagerJournal. An enrollment without a
// manager's URL is refused with ErrNotWritten.
func (d *Dir) SavePending(ctx context.Context, p ports.PendingEnrollment) error {
	end, err := d.beginWrite(ctx)
	if err != nil {
		return err
	}
	defer end()
	return d.pending.save(p)
}
