//go:build wine

package e2e

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

// windows is a Windows under Wine, in $WINEPREFIX (tools/test-msi.sh).
type windows struct{ t *testing.T }

// startWindows keeps Wine up: it ends its services when no program runs.
func startWindows(t *testing.T) windows {
	t.Helper()
	w := windows{t}
	sitter := exec.Command(os.Getenv("MUSTER_WINE"), "cmd")
	in, err := sitter.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sitter.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()               // what it reads ends, and so does it
		_ = sitter.Process.Kill()    // if it does not
		_, _ = sitter.Process.Wait() // it was killed
	})
	return w
}

// run runs a Windows program to its end.
func (w windows) run(args ...string) (string, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	// A file: Wine's own processes, which stay, would hold a pipe open.
	out, err := os.Create(filepath.Join(w.t.TempDir(), "output"))
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, os.Getenv("MUSTER_WINE"), args...)
	cmd.Stdout, cmd.Stderr = out, out
	runErr := cmd.Run()
	_ = out.Close() // it is read, not written, here
	said, err := os.ReadFile(out.Name())
	if err != nil {
		w.t.Fatal(err)
	}
	return string(said), runErr
}

func (w windows) must(args ...string) {
	w.t.Helper()
	if out, err := w.run(args...); err != nil {
		w.t.Fatalf("%s: %v\n%s", args[0], err, out)
	}
}

// path is where a file of drive C: lies.
func (w windows) path(name string) string {
	return filepath.Join(os.Getenv("WINEPREFIX"), "drive_c", name)
}

func (w windows) has(name string) bool {
	_, err := os.Stat(w.path(name))
	return err == nil
}

// installed says whether the service manager knows the service.
func (w windows) installed() bool {
	_, err := w.run("reg", "query", `HKLM\System\CurrentControlSet\Services\muster`)
	return err == nil
}

func TestTheInstallersLife(t *testing.T) {
	is := is.New(t)
	s := startServer(t)
	w := startWindows(t)
	const data = "ProgramData/Muster/"
	const agentEnv = data + "agent.env"
	m := &machine{t: t, uid: randomUID()}

	// What is no property stands in the file already.
	is.NoErr(os.MkdirAll(w.path(data), 0o755))
	is.NoErr(os.WriteFile(w.path(agentEnv), []byte("# by hand\nMUSTER_TRUST_CA_FILE='Z:"+s.CA+"'\nMUSTER_MACHINE_UID="+m.uid+"\n"), 0o600))

	msi := func(args ...string) {
		t.Helper()
		w.must(append(append([]string{"msiexec"}, args...), "/qn")...)
	}
	msi("/i", "Z:"+os.Getenv("MUSTER_MSI"), "SERVERURL="+s.URL, "SITECODE="+site, "ENROLLMENTKEY="+enrollmentKey)
	is.True(w.installed())
	s.onlyMachine(m) // enrolled and connected
	is.Equal(s.enrollments(), 1)
	env, err := os.ReadFile(w.path(agentEnv))
	is.NoErr(err)
	is.True(strings.HasPrefix(string(env), "# by hand\n"))
	is.True(strings.Contains(string(env), "MUSTER_ENROLLMENT_KEY='"+enrollmentKey+"'"))
	is.True(w.has(data + credentialFile))
	w.keyOnlyIn(agentEnv)

	version := func(want string) {
		t.Helper()
		eventually(t, func() string {
			if relay := s.State().Relay; len(relay) == 1 && relay[0].LastStatus != nil && relay[0].LastStatus.Version == want {
				return ""
			}
			return "version " + want + " does not report"
		})
	}
	version("v0.0.1")

	// Stopped and started, it is the same machine.
	w.must("net", "stop", "muster")
	s.gone()
	w.must("net", "start", "muster")
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 1)

	// So it is after an upgrade, which is told nothing again.
	msi("/i", "Z:"+os.Getenv("MUSTER_MSI_NEXT"))
	version("v0.0.2")
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 1)

	// A removal asks nothing and leaves nothing but the state.
	msi("/x", "Z:"+os.Getenv("MUSTER_MSI_NEXT"))
	s.gone()
	is.True(!w.installed())
	is.True(!w.has("Program Files/Muster/muster.exe"))
	is.True(w.has(agentEnv))
	is.True(w.has(data + credentialFile))

	// Which is taken up where the agent comes back.
	msi("/i", "Z:"+os.Getenv("MUSTER_MSI_NEXT"))
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 1)
	msi("/x", "Z:"+os.Getenv("MUSTER_MSI_NEXT"))
	is.True(!w.installed())
}

func TestTheInstallerRefusesWhatIsNoConfiguration(t *testing.T) {
	is := is.New(t)
	w := startWindows(t)
	before, err := os.ReadFile(w.path("ProgramData/Muster/agent.env"))
	if err != nil {
		before = nil // the test runs alone
	}
	out, err := w.run("msiexec", "/i", "Z:"+os.Getenv("MUSTER_MSI"), "SERVERURL=ftp://nowhere.example.org", "/qn")
	is.True(err != nil)
	is.True(!strings.Contains(out, "cek_"))
	is.True(!w.installed())
	is.True(!w.has("Program Files/Muster/muster.exe"))
	after, err := os.ReadFile(w.path("ProgramData/Muster/agent.env"))
	if err != nil {
		after = nil
	}
	is.Equal(string(after), string(before))
	is.True(!w.has("ProgramData/Muster/agent.env.new"))
}

// gone waits until no agent is connected.
func (s *server) gone() {
	s.T.Helper()
	eventually(s.T, func() string {
		if len(s.State().Relay) == 0 {
			return ""
		}
		return "the agent is still connected"
	})
}

// keyOnlyIn searches what the installer left behind, the registry included, for
// the enrollment key.
func (w windows) keyOnlyIn(name string) {
	w.t.Helper()
	w.must("reg", "export", "HKLM", `C:\registry.txt`, "/y")
	defer func() { _ = os.Remove(w.path("registry.txt")) }() // it goes with the prefix anyway
	seen := 0
	deadline := time.Now().Add(patience)
	root := os.Getenv("WINEPREFIX")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || time.Now().After(deadline):
			return err
		case d.IsDir() && (d.Name() == "dosdevices" || d.Name() == "system32"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // Wine, which runs, has replaced it
		}
		if err != nil {
			return err
		}
		seen++
		wide := strings.Join(strings.Split(enrollmentKey, ""), "\x00")
		if text := string(content); path != w.path(name) && (strings.Contains(text, enrollmentKey) || strings.Contains(text, wide)) {
			w.t.Errorf("%s holds the enrollment key", path)
		}
		return nil
	})
	if err != nil {
		w.t.Error(err)
	}
	if seen < 10 || time.Now().After(deadline) {
		w.t.Errorf("only %d files were searched", seen)
	}
}
