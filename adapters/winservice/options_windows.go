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
	// UpgradeCode is the GUID, in braces, that all versions of the installer
	// share; empty if there is no installer. While one of them is installed, it
	// is in charge of the service.
	UpgradeCode string
}

// commandLine returns the command that starts the service. The path is always
// quoted: without quotes, C:\Program.exe would be started in place of a program
// below C:\Program Files.
func (o Options) commandLine() string {
	words := []string{`"` + o.Program + `"`}
	for _, argument := range o.Arguments {
		words = append(words, syscall.EscapeArg(argument))
	}
	return strings.Join(words, " ")
}

// recovery says what the service control manager does after the first, the second
// and every later end with an error; the count begins anew after a day without
// one. It never gives up: the cause (a configuration, another process that holds
// the lock) may be repaired at any time, and an attempt each minute costs next to
// nothing.
var recovery = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: 10 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 10 * time.Second},
	{Type: mgr.ServiceRestart, Delay: time.Minute},
}

const recoveryReset = 24 * time.Hour
