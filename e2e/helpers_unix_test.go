//go:build unix

package e2e

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// kills is how many of a first enrollment's moments are tried.
const kills = 200

// lanes is how many tests run at a time: they mostly wait for delays to pass,
// so that there may be more of them than processors.
const lanes = "32"

// lastWords is how long what a process wrote is read after its end.
const lastWords = 20 * time.Second

// toStop are the signals that tell an agent to stop.
var toStop = []os.Signal{syscall.SIGTERM, os.Interrupt}

// toCrash are signals after which the Go runtime ends as after a panic, of
// which there is none to be had from outside.
var toCrash = []os.Signal{syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGSEGV}

// addressable readies a command for send.
func addressable(*exec.Cmd) {}

// begin starts a command.
func begin(cmd *exec.Cmd) error { return cmd.Start() }

// send sends a signal to a process.
func send(to *os.Process, sig os.Signal) error { return to.Signal(sig) }

// protection is what the status calls the protection of secrets at rest.
const protection = "file"

// open gives what a record holds to be read.
func (e envelope) open(*testing.T, string) envelope { return e }
