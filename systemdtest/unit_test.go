//go:build systemd

package systemdtest

import (
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestUnitAsShipped(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	s := install(t)
	path := s.property("FragmentPath")
	r := s.must(0, "systemd-analyze", "verify", path)
	is.Equal(r.out+r.errs, "")
	// The threshold is in tenths of an exposure of 10.
	r = s.do("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", path)
	if r.code != 0 {
		t.Errorf("its exposure is more than 1.5: %v", r)
	}
	t.Log(lastLine(r.out))
	for name, want := range map[string]string{
		"Type": "notify", "User": "muster", "Restart": "on-failure", "RestartUSec": "10s",
		"StartLimitIntervalUSec": "5min", "StartLimitBurst": "5", "StateDirectory": "muster", "StateDirectoryMode": "0700",
		"EnvironmentFiles": "", "DynamicUser": "no", "CapabilityBoundingSet": "",
	} {
		if got := s.property(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	is.True(strings.Contains(s.must(0, "systemctl", "cat", unit).out, "\nWatchdogSec=")) // known as a property once it runs
	is.True(strings.Contains(s.property("After"), "network-online.target"))
	is.True(strings.Contains(s.property("Wants"), "network-online.target"))
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
