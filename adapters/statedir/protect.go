package statedir

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/muster-agent/muster/ports"
)

// protectedFormat is the format of a record whose payload is a protectedJSON.
// The payload that is protected has a format of its own, which therefore is
// never this number. Versions without a Protector took such a record for a
// newer one's and left it alone.
const protectedFormat = 2

// protectedJSON is a payload that a Protector wrapped.
type protectedJSON struct {
	By         string `json:"protected_by"` // the Protector's name
	MachineUID string `json:"machine_uid,omitempty"`
	Format     int    `json:"format"` // of what is inside
	Wrapped    []byte `json:"wrapped"`
}

// protects reports whether what the record writes is protected.
func (r *recordFile) protects() bool { return r.purpose != "" && r.dir.opts.Protector != nil }

// protected reports whether the sound content of a file is something that was
// protected. Of what is damaged it may say either.
func (r *recordFile) protected(data []byte) bool {
	if !bytes.HasPrefix(data, []byte("{")) {
		return false
	}
	var e struct {
		Format int `json:"format"`
	}
	return json.Unmarshal(data, &e) != nil || e.Format >= protectedFormat && e.Format != r.format
}

// protect wraps a payload, which is wiped.
func (r *recordFile) protect(payload []byte, machineUID string) ([]byte, error) {
	defer clear(payload)
	wrapped, err := r.dir.opts.Protector.Protect(ports.NewSecret(string(payload)), r.purpose, machineUID)
	if err != nil {
		return nil, err
	}
	return json.Marshal(protectedJSON{By: r.dir.opts.Protector.Name(), MachineUID: machineUID, Format: r.format, Wrapped: wrapped})
}

// unprotect returns what protect was given, in place of the envelope that it
// lay in. The error is of kind ErrUnreadable or a *damage.
func (r *recordFile) unprotect(path string, payload []byte) (envelope, error) {
	var j protectedJSON
	if json.Unmarshal(payload, &j) != nil || j.Format < 1 || j.Format == protectedFormat {
		return envelope{}, &damage{reason: "it holds nothing that was protected"}
	}
	p := r.dir.opts.Protector
	if p == nil || p.Name() != j.By {
		return envelope{}, &damage{reason: fmt.Sprintf("it was protected by %q, which this system does not have", j.By), kind: ports.ErrUnprotectable}
	}
	secret, err := p.Unprotect(j.Wrapped, r.purpose, j.MachineUID)
	if errors.Is(err, ports.ErrUnprotectable) {
		return envelope{}, &damage{reason: "it cannot be unprotected: " + err.Error(), kind: ports.ErrUnprotectable}
	}
	if err != nil {
		return envelope{}, fmt.Errorf("%s: %w", path, err)
	}
	return envelope{Format: j.Format, Payload: []byte(secret.Reveal())}, nil // to be judged
}

// What a protected record is longer by, in bytes: the wrapping itself
// (ports.Protector), and the names and numbers around it.
const (
	wrappingRoom = 1 << 10
	aroundRoom   = 512
)

// placeholder is the size of a full record on disk, in bytes.
func (r *recordFile) placeholder() int {
	if !r.protects() {
		return r.room
	}
	return base64.StdEncoding.EncodedLen(r.room+wrappingRoom) + aroundRoom
}
