package statedir

import (
	"context"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/muster-agent/muster/ports"
)

type credentialJSON struct {
	Key        string       `json:"key"`
	ServerURL  string       `json:"server_url"`
	SiteCode   string       `json:"site_code"`
	MachineUID string       `json:"machine_uid"`
	StoredAt   time.Time    `json:"stored_at"`
	Identity   identityJSON `json:"identity"`
}

func (c credentialJSON) check() error {
	switch {
	case c.Key == "":
		return errors.New("the credential's record holds no key")
	case c.ServerURL == "" || c.SiteCode == "":
		return errors.New("the credential's record does not say who issued the key")
	case c.MachineUID == "":
		return errors.New("the credential's record does not say for which machine the key is")
	}
	return nil
}

// credentialRoom is room for a record with a key of 4 KiB beside the identity
// and a long URL: two blocks of 4 KiB, the usual size on disk.
const credentialRoom = 8 << 10

func credentialRecord(d *Dir) record[ports.Credential] {
	r := newRecord(recordFile{
		dir: d, folder: credentialsFolder, name: credentialFile, format: 1, private: true, readBack: true, room: credentialRoom,
		purpose: "credential",
	}, marshalCredential, unmarshalCredential)
	r.machineUID = func(c ports.Credential) string { return c.MachineUID }
	return r
}

func marshalCredential(c ports.Credential) ([]byte, error) {
	j := credentialJSON{
		Key:        c.Key.Reveal(), // into the file that protects it
		ServerURL:  c.ServerURL,
		SiteCode:   c.SiteCode,
		MachineUID: c.MachineUID,
		StoredAt:   c.StoredAt.UTC(),
		Identity:   identityToJSON(c.Identity),
	}
	if !utf8.ValidString(j.Key) {
		return nil, errors.New("the key is not UTF-8 text and would be changed")
	}
	if err := j.check(); err != nil {
		return nil, err
	}
	return json.Marshal(j)
}

func unmarshalCredential(_ int, payload []byte) (ports.Credential, error) {
	var j credentialJSON
	if json.Unmarshal(payload, &j) != nil { // its message quotes what it read
		return ports.Credential{}, errors.New("it holds no credential's record")
	}
	if err := j.check(); err != nil {
		return ports.Credential{}, err
	}
	return ports.Credential{
		Key:        ports.NewSecret(j.Key),
		ServerURL:  j.ServerURL,
		SiteCode:   j.SiteCode,
		MachineUID: j.MachineUID,
		StoredAt:   j.StoredAt.UTC(),
		Identity:   j.Identity.identity(),
	}, nil
}

// Load implements ports.CredentialStore.
func (d *Dir) Load(ctx context.Context) (ports.Credential, error) {
	return d.credential.read(ctx)
}

// Reserve implements ports.CredentialStore.
func (d *Dir) Reserve(ctx context.Context) error {
	return d.change(ctx, d.credential.reserve)
}

// Save implements ports.CredentialStore. A credential without a key, server,
// site or machine is refused with ErrNotWritten: it could not be loaded.
func (d *Dir) Save(ctx context.Context, c ports.Credential) error {
	return d.credential.write(ctx, c)
}

// Protection implements ports.CredentialStore.
func (d *Dir) Protection() string {
	if d.opts.Protector == nil {
		return "file"
	}
	return d.opts.Protector.Name()
}
