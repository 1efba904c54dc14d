package systemd

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

// directives are the unit's, by section and name, each with all its values.
func directives(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	section := ""
	for line := range strings.Lines(Unit) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		default:
			name, value, ok := strings.Cut(line, "=")
			if !ok {
				t.Fatalf("no directive: %q", line)
			}
			found[section+" "+name] = append(found[section+" "+name], value)
		}
	}
	return found
}

func TestUnitIsAsAgreed(t *testing.T) {
	t.Parallel()
	unit := directives(t)
	for name, want := range map[string]string{
		"Unit Wants":                   "network-online.target",
		"Unit After":                   "network-online.target",
		"Unit StartLimitIntervalSec":   "300",
		"Unit StartLimitBurst":         "5",
		"Service Type":                 "notify",
		"Service NotifyAccess":         "main",
		"Service Restart":              "on-failure",
		"Service RestartSec":           "10s",
		"Service User":                 "muster",
		"Service StateDirectory":       "muster",
		"Service StateDirectoryMode":   "0700",
		"Service RuntimeDirectory":     "muster",
		"Service RuntimeDirectoryMode": "0700",
		"Service ExecStartPre":         "+-/usr/bin/muster identify --save",
		"Service ExecStart":            "/usr/bin/muster run",
		"Service ExecReload":           "/bin/kill -HUP $MAINPID",
		// With a path, an absent file would keep the agent from starting.
		"Service LoadCredential":        "enrollment_key",
		"Service CapabilityBoundingSet": "",
		"Service AmbientCapabilities":   "",
		"Service NoNewPrivileges":       "yes",
		"Service ProtectSystem":         "strict",
		"Service LimitCORE":             "0",
		// Interfaces are listed by netlink; systemd is told by a Unix socket.
		"Service RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX AF_NETLINK",
		"Install WantedBy":                "multi-user.target",
	} {
		if got := unit[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

func TestUnitLeavesOut(t *testing.T) {
	t.Parallel()
	unit := directives(t)
	for name, reason := range map[string]string{
		"Service EnvironmentFile":     "the agent reads its file itself, on a reload too",
		"Service DynamicUser":         "it cannot share files with a command run by root",
		"Service PrivateUsers":        "it fails where the kernel allows no user namespaces",
		"Service ProtectHostname":     "it hides a new host name",
		"Service ProcSubset":          "a virtual machine is told from hardware by /proc",
		"Service SuccessExitStatus":   "0 alone is a clean end",
		"Service TimeoutStartSec":     "the agent is ready as soon as it supervises itself",
		"Service RestartForceExit":    "the agent's codes say what is to be restarted",
		"Service IPAddressDeny":       "the servers may be anywhere",
		"Service PrivateNetwork":      "it talks to the network",
		"Service RestartPreventExit":  "the start limit ends what does not heal",
		"Service LoadCredentialEncry": "an operator chooses it",
	} {
		for directive := range unit {
			if strings.HasPrefix(directive, name) {
				t.Errorf("%s is there: %s", directive, reason)
			}
		}
	}
}

// A hang ends by the watchdog, which the start limit counts as a failure: so
// many of them must not fit into its interval.
func TestHangsNeverReachTheStartLimit(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	duration := func(name string) time.Duration {
		value := directives(t)[name][0]
		if strings.Trim(value, "0123456789") == "" {
			value += "s"
		}
		d, err := time.ParseDuration(value)
		is.NoErr(err)
		return d
	}
	const burst = 5
	hang := duration("Service WatchdogSec") + duration("Service RestartSec")
	is.True(burst*hang > duration("Unit StartLimitIntervalSec"))
}
