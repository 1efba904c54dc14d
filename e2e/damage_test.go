package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// harms are what may happen to a file; cut at cuts lengths. (The store's own
// tests cut at every length.)
func harms(cuts int) []harm {
	list := []harm{
		{"emptied", func([]byte) []byte { return []byte{} }},
		{"filled with zeros", func(was []byte) []byte { return make([]byte, len(was)+1) }},
		{"filled with garbage", func(was []byte) []byte { return garbage(len(was) + 1) }},
		{"filled with a megabyte of garbage", func([]byte) []byte { return garbage(1 << 20) }},
		{"with a flipped bit", func(was []byte) []byte {
			if len(was) == 0 {
				return []byte{1}
			}
			is := bytes.Clone(was)
			is[rand.IntN(len(is)-1)] ^= 1 << rand.IntN(8) // not the newline at its end
			return is
		}},
		{"written over with other JSON", func([]byte) []byte { return []byte(`{"format":1,"payload":{}}`) }},
		{"replaced by a directory", nil},
	}
	for i := range cuts {
		list = append(list, harm{fmt.Sprintf("cut %d/%d", i, cuts), func(was []byte) []byte { return was[:len(was)*i/cuts] }})
	}
	return list
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
			m := newMachine(t, s)
			m.delays(10*time.Millisecond, 20*time.Millisecond)
			a := m.launch()
			t.Cleanup(func() { a.kill() })
			a.connected()
			content := map[string][]byte{}
			for _, h := range harms(12) {
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

				lost := slices.Contains(files, credentialFile)
				switch again := s.enrollments() - enrolled; {
				case again == 0 && m.key() != key, again > 0 && !lost, again > 1:
					t.Errorf("%s: enrolled %d times", h.name, again)
				case again == 1:
					is.True(m.key() != key)
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

func TestWhatIsDamagedIsSetAsideAndReported(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.must(0, "enroll")
	cut := m.read(credentialFile)[:100]
	m.write(credentialFile, cut)
	a := m.start().connected()
	l := a.logged("store.recovered", 1)
	is.Equal(l.Level, "WARN")
	is.Equal(l.Action, "set aside")
	aside := m.setAside()
	is.Equal(len(aside), 1)
	kept, err := os.ReadFile(aside[0])
	is.NoErr(err)
	is.True(bytes.Equal(kept, cut))
	code, _ := a.stop()
	is.Equal(code, 0)

	// Only looking changes nothing.
	m.write(identityFile, nil)
	for _, look := range [][]string{{"status"}, {"status", "--json"}, {"config"}, {"identify"}} {
		m.do(look...)
	}
	is.Equal(len(m.setAside()), 1)
	is.Equal(len(m.read(identityFile)), 0)
}

func TestWhatLiesInAFoldersPlaceIsSetAside(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"credentials", "enrollment"} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startServer(t)
			m := newMachine(t, s)
			m.must(0, "enroll")
			is.NoErr(os.RemoveAll(m.path(folder)))
			is.NoErr(os.WriteFile(m.path(folder), []byte("not a folder"), 0o600))
			m.start().connected()
			s.onlyMachine(m)
			is.Equal(len(m.setAside()), 1)
			is.True(m.key() != "")
		})
	}
}

func TestAFileInTheStateDirectorysPlaceBlocksUntilItIsGone(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.delays(20*time.Millisecond, 40*time.Millisecond)
	is.NoErr(os.WriteFile(m.dir, []byte("what is this?"), 0o600))
	a := m.start()
	l := a.logged("store.blocked", 2)
	is.True(strings.Contains(l.Msg, m.dir))
	is.Equal(s.enrollments(), 0)
	kept, err := os.ReadFile(m.dir)
	is.NoErr(err)
	is.Equal(string(kept), "what is this?")
	is.NoErr(os.Remove(m.dir))
	a.connected()
	s.onlyMachine(m)
}

func TestAnInterruptedReplacementIsCompleted(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.must(0, "enroll")
	key, id := m.key(), m.agentID()
	for _, file := range []string{credentialFile, identityFile} {
		is.NoErr(os.Rename(m.path(file), m.path(file)+".new")) // as if killed before the rename
	}
	a := m.start().connected()
	is.Equal(a.logged("store.recovered", 2).Action, "completed an interrupted replacement")
	is.Equal(m.key(), key)
	is.Equal(m.agentID(), id)
	is.Equal(s.enrollments(), 1)
}
