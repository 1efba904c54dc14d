package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// kills is how many of a first enrollment's moments are tried: fewer than
// elsewhere, since a start takes long.
const kills = 40

// lanes is how many tests run at a time: fewer than elsewhere, for the same
// reason.
const lanes = "12"

// lastWords is how long what a process wrote is read after its end. Wine's
// helper of one that is killed as it starts may live on, and holds the output
// open for ever.
const lastWords = 5 * time.Second

// toStop are the signals that tell an agent to stop: at a console there is
// Ctrl+C. (The service manager's own way is tested where the service is.)
var toStop = []os.Signal{os.Interrupt}

// toCrash are signals that let the runtime crash, of which Windows has none.
var toCrash []os.Signal

// addressable readies a command for send, by a console of its own: Ctrl+C goes
// to all processes of a console.
func addressable(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NO_WINDOW}
}

// begin starts a command.
func begin(cmd *exec.Cmd) error {
	console.RLock()
	defer console.RUnlock()
	return cmd.Start()
}

var (
	kernel32      = windows.NewLazySystemDLL("kernel32.dll")
	attachConsole = kernel32.NewProc("AttachConsole")
	freeConsole   = kernel32.NewProc("FreeConsole")

	// console is held by who lets this process visit another's console: a
	// process has only one at a time, and starts no other without.
	console sync.RWMutex
	// deaf keeps this process from ending by the Ctrl+C that it sends.
	deaf = sync.OnceFunc(func() { signal.Notify(make(chan os.Signal, 1), os.Interrupt) })
)

// send presses Ctrl+C at a process's console.
func send(to *os.Process, sig os.Signal) error {
	if sig != os.Interrupt {
		return fmt.Errorf("Windows has no signal %v", sig)
	}
	deaf()
	console.Lock()
	defer console.Unlock()
	_, _, _ = freeConsole.Call() // there may be none to leave
	if ok, _, err := attachConsole.Call(uintptr(to.Pid)); ok == 0 {
		return fmt.Errorf("visit the console of process %d: %w", to.Pid, err)
	}
	err := windows.GenerateConsoleCtrlEvent(windows.CTRL_C_EVENT, 0)
	if ok, _, freeErr := freeConsole.Call(); ok == 0 {
		err = errors.Join(err, freeErr)
	}
	return err
}
