package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// stateFiles are all files of the state directory.
var stateFiles = []string{identityFile, credentialFile, retryFile, lockFile, socketFile}

// A harm is what may have happened to a file.
type harm struct {
	name string
	// content is what the file holds afterwards; nil for a directory in its
	// place.
	content func(was []byte) []byte
}

// harms are what may happen to a file. (The store's own tests cut at every
// length and flip every bit.)
var harms = []harm{
	{"emptied", func([]byte) []byte { return []byte{} }},
	{"cut short", func(was []byte) []byte { return was[:len(was)/2] }},
	{"filled with a megabyte of garbage", func([]byte) []byte { return garbage(1 << 20) }},
	{"written over with other JSON", func([]byte) []byte { return []byte(`{"format":1,"payload":{}}`) }},
	{"replaced by a directory", nil},
}

func garbage(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// do does the harm to a file that holds, or once held, something.
func (h harm) do(t *testing.T, path string, was []byte) {
	t.Helper()
	err := os.RemoveAll(path)
	if err != nil {
		t.Fatal(err)
	}
	if h.content != nil {
		err = os.WriteFile(path, h.content(was), 0o600)
	} else if err = os.MkdirAll(filepath.Join(path, "full"), 0o700); err == nil {
		err = os.WriteFile(filepath.Join(path, "full", "of"), []byte("something"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestADamagedStateDirectoryHealsByItself(t *testing.T) {
	t.Parallel()
	targets := map[string][]string{"all at once": stateFiles}
	for _, file := range stateFiles {
		targets[file] = []string{file}
	}
	for name, files := range targets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startServer(t)
			s.fault(relayPath, 1, action{Status: 401}) // so that there is something to remember
			m := newMachine(t, s).hasty()
			a := m.launch()
			t.Cleanup(func() { a.kill() })
			a.connected()
			content := map[string][]byte{}
			for _, h := range harms {
				key, id, enrolled := m.key(), m.agentID(), s.enrollments()
				a.kill() // so that lock and socket stay
				for _, file := range files {
					if now, err := os.ReadFile(m.path(file)); err == nil { // not so a socket
						content[file] = now
					}
					h.do(t, m.path(file), content[file])
				}
				a = m.launch()
				a.connected()
				s.onlyMachine(m)
				if slices.Contains(files, credentialFile) {
					l := a.logged("store.recovered", 1)
					is.Equal(l.Level, "WARN")
					is.Equal(l.Action, "set aside")
				}

				lost := slices.Contains(files, credentialFile)
				switch again := s.enrollments() - enrolled; {
				case again == 0 && m.key() != key, again > 0 && !lost, again > 1:
					t.Errorf("%s: enrolled %d times", h.name, again)
				case again == 1:
					is.True(m.key() != key) // another key
				}
				if !lost && m.agentID() != id {
					t.Errorf("%s: the agent_id is another one, although the credential's record has it", h.name)
				}
				if t.Failed() {
					t.Fatalf("%s:\n%s", h.name, a.log.tail())
				}
			}
			a.kill()
			for _, file := range files {
				copies := 0
				for _, path := range m.setAside() {
					if strings.HasPrefix(path, m.path(file)+".damaged-") {
						copies++
					}
				}
				switch file {
				case lockFile, socketFile: // hold nothing
				default:
					is.Equal(copies, 3) // the newest three
				}
			}
		})
	}
}

func TestOnlyLookingChangesNothing(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := newMachine(t, startServer(t))
	m.must(0, "enroll")
	m.write(identityFile, nil)
	for _, look := range [][]string{{"status"}, {"status", "--json"}, {"config"}, {"identify"}} {
		m.do(look...)
	}
	is.Equal(len(m.setAside()), 0)
	is.Equal(len(m.read(identityFile)), 0) // damaged as it was
}
