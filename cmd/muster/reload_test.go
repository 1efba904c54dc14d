package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

func TestNoOtherProcessGetsTheLockBetweenTwoAgents(t *testing.T) {
	is := is.New(t)
	disk := new(memory.Disk)
	kept := &keptLock{ProcessLock: memory.OpenLock(disk)}
	for range 3 {
		unlock, err := kept.TryLock(t.Context(), "run")
		is.NoErr(err)
		is.NoErr(unlock())
		_, err = memory.OpenLock(disk).TryLock(t.Context(), "enroll")
		is.True(errors.Is(err, ports.ErrLocked))
	}
	is.NoErr(kept.unlock())
	_, err := memory.OpenLock(disk).TryLock(t.Context(), "enroll")
	is.NoErr(err)

	kept = &keptLock{ProcessLock: memory.OpenLock(disk)} // another's lock is not ours
	_, err = kept.TryLock(t.Context(), "run")
	is.True(errors.Is(err, ports.ErrLocked))
	is.True(kept.unlock == nil)
}

func TestTheNextAgentGoesOnUnderTheLockOfTheOneBefore(t *testing.T) {
	is := is.New(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.env")
	write := func(site string) {
		t.Helper()
		is.NoErr(os.WriteFile(file, []byte("MUSTER_SERVER_URL=https://127.0.0.1:1\nMUSTER_SITE_CODE="+site+"\nMUSTER_ENROLLMENT_KEY=cek_aaaaaaaaaaaaaaaa\n"), 0o600))
	}
	write("A")
	var said lines
	p := &program{stderr: &said, configFile: file, environ: machineIn(filepath.Join(dir, "state"))}
	config, err := p.configure("")
	is.NoErr(err)
	deps, err := p.deps(config, p.logger(config.settings), false)
	is.NoErr(err)
	lock := new(counted)
	deps.Lock = lock
	ctx, stop := context.WithCancel(t.Context())
	reloads, ended := make(chan os.Signal), make(chan struct{})
	go func() { defer close(ended); p.keepRunning(ctx, config, deps, reloads) }()

	said.await(t, "site=A")
	for _, site := range []string{"B", "C"} {
		write(site)
		reloads <- os.Interrupt
		said.await(t, "site="+site)
	}
	is.Equal(lock.taken.Load(), int32(1))
	is.Equal(lock.returned.Load(), int32(0))
	stop()
	<-ended
	is.Equal(lock.returned.Load(), int32(1))
	is.Equal(p.code, exitcode.Clean)
	is.Equal(strings.Count(said.String(), "event=stopping"), 1)
}

func TestWhatIsTheSameConfiguration(t *testing.T) {
	is := is.New(t)
	dir := t.TempDir()
	roots := filepath.Join(dir, "ca.pem")
	pem, err := os.ReadFile(filepath.Join("..", "..", "domain", "cert", "testdata", "openssl", "self-signed-ca.pem"))
	is.NoErr(err)
	is.NoErr(os.WriteFile(roots, pem, 0o600))
	read := func(more ...string) *configuration {
		t.Helper()
		p := &program{environ: append([]string{
			"MUSTER_STATE_DIR=" + dir, "MUSTER_SERVER_URL=https://enroll.example.org", "MUSTER_SITE_CODE=A",
			"MUSTER_ENROLLMENT_KEY=cek_aaaaaaaaaaaaaaaa", "MUSTER_TRUST_CA_FILE=" + roots,
		}, more...)}
		config, err := p.configure("")
		is.NoErr(err)
		return config
	}
	before := read()
	is.True(read().same(before))
	is.True(!read("MUSTER_SITE_CODE=B").same(before))
	is.True(!read("MUSTER_ENROLLMENT_KEY=cek_bbbbbbbbbbbbbbbb").same(before))
	is.True(!read("MUSTER_LISTEN_ADDR=off").same(before))

	is.NoErr(os.WriteFile(roots, append(pem, '\n'), 0o600)) // another content under the same name
	is.True(!read().same(before))
}
