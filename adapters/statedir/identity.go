package statedir

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/muster-agent/muster/ports"
)

type identityJSON struct {
	AgentID    string                      `json:"agent_id,omitempty"`
	MachineUID string                      `json:"machine_uid"`
	Source     ports.IdentitySource        `json:"source"`
	Salt       []byte                      `json:"salt,omitempty"`
	Hashes     map[ports.SignalKind]string `json:"hashes,omitempty"`
	CreatedAt  time.Time                   `json:"created_at,omitzero"`
}

func identityToJSON(id ports.Identity) identityJSON {
	return identityJSON{
		AgentID:    id.AgentID,
		MachineUID: id.MachineUID,
		Source:     id.Source,
		Salt:       id.Salt,
		Hashes:     id.Hashes,
		CreatedAt:  id.CreatedAt.UTC(),
	}
}

func (j identityJSON) identity() ports.Identity {
	if j.Hashes == nil {
		j.Hashes = map[ports.SignalKind]string{}
	}
	if len(j.Salt) == 0 {
		j.Salt = nil
	}
	return ports.Identity{
		AgentID:    j.AgentID,
		MachineUID: j.MachineUID,
		Source:     j.Source,
		Salt:       j.Salt,
		Hashes:     j.Hashes,
		CreatedAt:  j.CreatedAt.UTC(),
	}
}

// check allows an agent_id to be missing: the first enrollment makes it.
func (j identityJSON) check() error {
	if j.MachineUID == "" || j.Source == "" {
		return errors.New("the identity's record does not say which machine this is")
	}
	return nil
}

func identityRecord(d *Dir) record[ports.Identity] {
	return newRecord(recordFile{
		dir: d, folder: ".", name: identityFile, format: 1, private: true,
	}, marshalIdentity, unmarshalIdentity)
}

func marshalIdentity(id ports.Identity) ([]byte, error) {
	j := identityToJSON(id)
	if err := j.check(); err != nil {
		return nil, err
	}
	return json.Marshal(j)
}

func unmarshalIdentity(_ int, payload []byte) (ports.Identity, error) {
	var j identityJSON
	if json.Unmarshal(payload, &j) != nil { // its message quotes what it read
		return ports.Identity{}, errors.New("it holds no identity's record")
	}
	return j.identity(), j.check()
}

// machineUID is the machine that the directory's identity names; empty if none
// can be read. It changes nothing.
func (d *Dir) machineUID() string {
	top, err := d.top(false)
	if err != nil {
		return ""
	}
	defer top.Close()
	found, _, err := d.identity.look(top, identityFile)
	if err != nil {
		return ""
	}
	return found.(ports.Identity).MachineUID
}

// LoadIdentity implements ports.IdentityStore.
func (d *Dir) LoadIdentity(ctx context.Context) (ports.Identity, error) {
	return d.identity.read(ctx)
}

// SaveIdentity implements ports.IdentityStore. An identity without a
// machine_uid or its source is refused with ErrNotWritten.
func (d *Dir) SaveIdentity(ctx context.Context, id ports.Identity) error {
	return d.identity.write(ctx, id)
}
