package winservice

import (
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/windows/svc/mgr"
)

// Options say what the service is.
type Options struct {
	Name, DisplayName, Description string
	// Program is the path of the program, Arguments is what it is started with.
	Program   string
	Arguments []string
	// UpgradeCode is what all versions of the installer have in common, a GUID
	// in braces; empty if there is no installer. While one of them is installed
	// the service is its business.
	UpgradeCode string
}

// commandLine is what the service is started with. The path is quoted
// whatever is in it: unquoted, C:\Program.exe would be started in place of one
// below C:\Program Files.
func (o Options) commandLine() string {
	words := []string{`"` + o.Program + `"`}
	for _, argument := range o.Arguments {
		words = append(words, syscall.EscapeArg(argument))
	}
	return strings.Join(words, " ")
}

// What the service control manager does after the first, the second, and every
// later end with an error, each counted until there was none for a day. It is
// never given up: what ends the agent with an error (a configuration, another
// process that holds the lock) may be repaired at any time, and an attempt each
// minute costs next to nothing.
var recovery = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: 10 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 10 * time.Second},
	{Type: mgr.ServiceRestart, Delay: time.Minute},
}

const recoveryReset = 24 * time.Hour
