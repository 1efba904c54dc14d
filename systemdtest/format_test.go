//go:build systemd

package systemdtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// envelope is what every record of the state directory lies in, for ever.
type envelope struct {
	Format    int             `json:"format"`
	WrittenBy string          `json:"written_by"`
	SHA256    string          `json:"sha256"`
	Payload   json.RawMessage `json:"payload"`
}

// rewrite changes a record as another version would have written it.
func (s *service) rewrite(file string, change func(*envelope)) (written []byte) {
	s.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		s.t.Fatal(err)
	}
	change(&e)
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s\n%s", e.Format, e.WrittenBy, e.Payload))
	e.SHA256 = hex.EncodeToString(sum[:])
	if data, err = json.Marshal(e); err != nil {
		s.t.Fatal(err)
	}
	// In place, so that it keeps its owner.
	if err := os.WriteFile(file, data, 0); err != nil {
		s.t.Fatal(err)
	}
	return data
}

func TestDowngradeToAVersionThatDoesNotKnowTheFormat(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atSite(srv).configure().start()
	s.connected()
	for _, file := range []string{credentialFile, identityFile} {
		s.stop()
		before, err := os.ReadFile(file)
		is.NoErr(err)
		newer := s.rewrite(file, func(e *envelope) { e.Format, e.WrittenBy = e.Format+97, "97.5.3" })
		s.start()
		l := s.life()
		st := s.is("blocked")
		is.True(strings.Contains(st.Blocked, "97.5.3")) // which version to install again
		s.tells("97.5.3")
		r := s.must(1, muster, "status")
		is.True(strings.Contains(r.out+r.errs, "97.5.3"))
		left, err := os.ReadFile(file)
		is.NoErr(err)
		is.True(bytes.Equal(left, newer)) // untouched
		s.lives(l)
		srv.requests(enrollPath)
		is.Equal(srv.requests(enrollPath), 1)

		// The version that knows it.
		s.stop()
		is.NoErr(os.WriteFile(file, before, 0))
		s.start()
		s.connected()
		srv.onlyMachine(1)
	}
}

// An older format is format 1, the first: what this version writes, and every
// later one must read. It was written by the first version, which is simulated
// by its name and by a payload that lacks what later versions added.
func TestUpgradeFromTheStateOfAnOlderVersion(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atSite(srv).configure().start()
	s.connected()
	before := s.status()
	s.stop()
	for _, file := range []string{credentialFile, identityFile} {
		s.rewrite(file, func(e *envelope) { e.Format, e.WrittenBy = 1, "0.0.1" })
	}
	s.start()
	l := s.connected()
	after := s.status()
	is.Equal(after.AgentID, before.AgentID)
	is.Equal(after.MachineUID, before.MachineUID)
	is.Equal(after.Credential.Fingerprint, before.Credential.Fingerprint)
	srv.onlyMachine(1)
	is.Equal(srv.requests(enrollPath), 1)
	s.lives(l)
}
