package statedir

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"github.com/muster-agent/muster/ports"
)

// bundleRoom is room for an answer of 48 KiB, which grows by a third in the
// file: three chains of RSA certificates with their key (16 KiB) and a
// revocation list of some hundred entries. What is larger is written all the
// same, if there is space.
const bundleRoom = 64 << 10

// rejectedPrefix and rejectedSuffix stand around the time of rejection.
const rejectedPrefix, rejectedSuffix = "bundle-", ".json"

// bundleFormat is 3 since a renewal's answer is kept as it came (2 is
// protectedFormat). Format 1 kept the bundle that had been read from it, in
// Renewed.
const bundleFormat = 3

// receivedJSON holds bytes as base64, since nothing has been judged: not even
// whether they are text.
type receivedJSON struct {
	ManagerURL   string      `json:"manager_url"`
	ReceivedAt   time.Time   `json:"received_at,omitzero"`
	PreviousKept bool        `json:"previous_kept,omitempty"`
	Renewal      bool        `json:"renewal,omitempty"`
	Body         []byte      `json:"body,omitempty"`
	Renewed      *bundleJSON `json:"renewed,omitempty"`
}

type bundleJSON struct {
	CA    []byte `json:"ca,omitempty"`
	Cert  []byte `json:"cert,omitempty"`
	Key   []byte `json:"key,omitempty"`
	Chain []byte `json:"chain,omitempty"`
	CRL   []byte `json:"crl,omitempty"`
}

// check allows an empty body: a manager may answer so, and that is for others
// to judge.
func (j receivedJSON) check() error {
	switch {
	case j.ManagerURL == "":
		return errors.New("the bundle's record does not say which manager sent it")
	case len(j.Body) > 0 && j.Renewed != nil:
		return errors.New("the bundle's record holds two answers")
	}
	return nil
}

func receivedToJSON(b ports.ReceivedBundle) receivedJSON {
	j := receivedJSON{
		ManagerURL:   b.Issuer,
		ReceivedAt:   b.ReceivedAt.UTC(),
		PreviousKept: b.PreviousKept,
		Renewal:      b.Renewal,
		Body:         []byte(b.Raw.Reveal()), // into the file that protects it
	}
	if r := b.Interpreted; r != nil {
		j.Renewed = &bundleJSON{CA: r.CA, Cert: r.Cert, Key: []byte(r.Key.Reveal()), Chain: r.Chain, CRL: r.CRL}
	}
	return j
}

func (j receivedJSON) received() ports.ReceivedBundle {
	b := ports.ReceivedBundle{
		Received:     ports.Received{Raw: ports.NewSecret(string(j.Body)), Renewal: j.Renewal},
		Issuer:       j.ManagerURL,
		ReceivedAt:   j.ReceivedAt.UTC(),
		PreviousKept: j.PreviousKept,
	}
	if r := j.Renewed; r != nil {
		b.Interpreted = &ports.Bundle{CA: r.CA, Cert: r.Cert, Key: ports.NewSecret(string(r.Key)), Chain: r.Chain, CRL: r.CRL}
	}
	return b
}

func bundleRecord(d *Dir) record[ports.ReceivedBundle] {
	return newRecord(recordFile{
		dir: d, folder: enrollmentFolder, name: bundleFile, format: bundleFormat, private: true, readBack: true, room: bundleRoom,
		purpose: "bundle",
	}, marshalBundle, unmarshalBundle)
}

func marshalBundle(b ports.ReceivedBundle) ([]byte, error) {
	j := receivedToJSON(b)
	if err := j.check(); err != nil {
		return nil, err
	}
	return json.Marshal(j)
}

func unmarshalBundle(_ int, payload []byte) (ports.ReceivedBundle, error) {
	var j receivedJSON
	if json.Unmarshal(payload, &j) != nil { // its message quotes what it read
		return ports.ReceivedBundle{}, errors.New("it holds no bundle's record")
	}
	if err := j.check(); err != nil {
		return ports.ReceivedBundle{}, err
	}
	return j.received(), nil
}

// ReserveBundle implements ports.IssueJournal. Where this process has left
// room before, it only looks whether that is still there.
func (d *Dir) ReserveBundle(ctx context.Context) error {
	end, err := d.beginWrite(ctx)
	if err != nil {
		return err
	}
	defer end()
	if d.bundle.hasRoom() {
		return nil
	}
	return d.bundle.reserve()
}

// LoadBundle implements ports.IssueJournal.
func (d *Dir) LoadBundle(ctx context.Context) (ports.ReceivedBundle, error) {
	return d.bundle.read(ctx)
}

// SaveBundle implements ports.IssueJournal. A bundle without a manager's URL,
// or with both an answer and a bundle that was read from one, is refused with
// ErrNotWritten.
func (d *Dir) SaveBundle(ctx context.Context, b ports.ReceivedBundle) error {
	return d.bundle.write(ctx, b)
}

// EraseBundle implements ports.IssueJournal. What was rejected or set aside
// stays.
func (d *Dir) EraseBundle(ctx context.Context) error {
	return d.change(ctx, d.bundle.remove)
}

// RejectBundle implements ports.IssueJournal. A crash in the middle leaves
// the bundle where it was, where it goes, or (after a power cut) in both
// places. An error is of the kinds of LoadBundle, or ErrNotWritten; the bundle
// then is where it was.
func (d *Dir) RejectBundle(ctx context.Context) (where string, err error) {
	end, err := d.beginWrite(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	f, err := d.folder(enrollmentFolder, false)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, _, err := d.bundle.settle(f); err != nil {
		return "", err
	}
	rejected, err := f.child(rejectedFolder, true)
	if err != nil {
		return "", err
	}
	defer rejected.Close()
	name, err := rejected.FreeName(rejectedPrefix, rejectedSuffix)
	inside := filepath.Join(rejectedFolder, name)
	if err == nil {
		err = f.Rename(bundleFile, inside)
	}
	if err != nil {
		return "", notWritten(rejected.Path(), err)
	}
	// Its new name is on disk before its old one goes.
	for _, touched := range []*folder{rejected, f} {
		if err := touched.Sync(); err != nil {
			_ = f.Rename(inside, bundleFile) // or it is looked for at its new name by hand
			return "", notWritten(rejected.Path(), err)
		}
	}
	rejected.Prune(rejectedPrefix)
	return rejected.At(name), nil
}
