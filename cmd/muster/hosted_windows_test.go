package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/domain/exitcode"
)

func TestTheServicesFlagIsNotForPersons(t *testing.T) {
	is := is.New(t)
	code, _, errs := call(t, t.TempDir(), nil, "run", "--service")
	is.Equal(code, exitcode.Error)
	is.True(strings.Contains(errs, "muster service start"))
	_, out, _ := call(t, t.TempDir(), nil, "run", "--help")
	is.True(!strings.Contains(out, "--service"))
}

func TestTheInstallersUpgradeCode(t *testing.T) {
	is := is.New(t)
	wxs, err := os.ReadFile(filepath.Join("..", "..", "packaging", "windows", "muster.wxs"))
	is.NoErr(err)
	is.True(strings.Contains(string(wxs), `UpgradeCode="`+strings.Trim(upgradeCode, "{}")+`"`))
	is.True(strings.Contains(string(wxs), `Name="`+serviceName+`"`))
	is.True(strings.Contains(string(wxs), `Arguments="run --service"`))
}

func TestTheDirectoryOfTheLogs(t *testing.T) {
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "Muster", "logs")
	for range 2 {
		is.NoErr(prepareLogs(dir, slog.DiscardHandler))
		info, err := os.Stat(dir)
		is.NoErr(err)
		is.True(info.IsDir())
	}
}

// TestWhatUsersMayReplaceIsNoService shows that neither a program nor a
// directory that others may write becomes SYSTEM's.
func TestWhatUsersMayReplaceIsNoService(t *testing.T) {
	is := is.New(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "muster.exe")
	is.NoErr(os.WriteFile(program, nil, 0o600))
	for path, want := range map[string]int{program: 0, dir: 0, "": 1} {
		manager := new(installations)
		err := closedService{manager, program, dir, open{path: path}}.Install(t.Context())
		is.Equal(manager.n, want)
		is.Equal(err == nil, want == 1)
	}
}

// TestTheConfigurationsDirectoryIsThereBeforeTheConfiguration shows that a
// person who installs the service and then writes the configuration finds a
// directory for it that is closed to others.
func TestTheConfigurationsDirectoryIsThereBeforeTheConfiguration(t *testing.T) {
	is := is.New(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "muster.exe")
	is.NoErr(os.WriteFile(program, nil, 0o600))
	guard := new(contracttest.RecordingGuard)
	configuration := filepath.Join(dir, "Muster")
	for range 2 {
		is.NoErr(closedService{new(installations), program, configuration, guard}.Install(t.Context()))
	}
	is.Equal(guard.Log, []string{"claim " + configuration, "mkdir " + configuration, "claim " + configuration})
}
