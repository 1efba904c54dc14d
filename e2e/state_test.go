package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The files of the state directory.
const (
	credentialFile = "credentials/agent.cak"
	identityFile   = "identity.json"
	retryFile      = "enrollment/retry.json"
	lockFile       = "agent.lock"
	socketFile     = "agent.sock"
)

// envelope is what every record of the state directory lies in.
type envelope struct {
	Format    int             `json:"format"`
	WrittenBy string          `json:"written_by"`
	SHA256    string          `json:"sha256"`
	Payload   json.RawMessage `json:"payload"`
}

// seal makes the checksum right.
func (e *envelope) seal() {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s\n%s", e.Format, e.WrittenBy, e.Payload))
	e.SHA256 = hex.EncodeToString(sum[:])
}

func (m *machine) read(name string) []byte {
	m.t.Helper()
	data, err := os.ReadFile(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	return data
}

// write replaces a file of the state directory in one step: an agent may be
// looking.
func (m *machine) write(name string, content []byte) {
	m.t.Helper()
	path := filepath.Join(m.home, "written")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		m.t.Fatal(err)
	}
	eventually(m.t, func() string { // Windows replaces no file that is being read
		if err := os.Rename(path, m.path(name)); err != nil {
			return err.Error()
		}
		return ""
	})
}

// record reads the payload of a record.
func (m *machine) record(name string, payload any) envelope {
	m.t.Helper()
	var e envelope
	decode(m.t, m.read(name), &e)
	e = e.open(m.t, name)
	decode(m.t, e.Payload, payload)
	return e
}

// key is the stored API key.
func (m *machine) key() string {
	m.t.Helper()
	var stored struct{ Key string }
	m.record(credentialFile, &stored)
	if !strings.HasPrefix(stored.Key, "cak_") || len(stored.Key) < 20 {
		m.t.Fatal("the stored key is no API key")
	}
	return stored.Key
}

// agentID is the stored one.
func (m *machine) agentID() string {
	m.t.Helper()
	var identity struct {
		AgentID string `json:"agent_id"`
	}
	m.record(identityFile, &identity)
	return identity.AgentID
}

// stored reports whether a key is stored.
func (m *machine) stored() bool {
	m.t.Helper()
	_, err := os.Stat(m.path(credentialFile))
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	return err == nil
}

// setAside lists what was set aside as damaged.
func (m *machine) setAside() []string {
	m.t.Helper()
	var found []string
	walk(m.t, m.dir, func(path string, _ fs.DirEntry) {
		if strings.Contains(filepath.Base(path), ".damaged-") {
			found = append(found, path)
		}
	})
	return found
}

func walk(t *testing.T, dir string, visit func(path string, d fs.DirEntry)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			visit(path, d)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
