package e2e

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/e2e/control"
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

// protection is what the status calls the protection of secrets at rest.
const protection = "dpapi"

// purposes are what the records of secrets are bound to, beside the machine.
var purposes = map[string]string{credentialFile: "credential", pendingFile: "pending enrollment"}

// open gives what a record holds to be read: DPAPI gives it to every process of
// the machine that knows what it is bound to.
func (e envelope) open(t *testing.T, name string) envelope {
	t.Helper()
	purpose := purposes[name]
	if purpose == "" {
		return e
	}
	var protected struct {
		By         string `json:"protected_by"`
		MachineUID string `json:"machine_uid"`
		Format     int    `json:"format"`
		Wrapped    []byte `json:"wrapped"`
	}
	control.Decode(t, e.Payload, &protected)
	if protected.By != protection || len(protected.Wrapped) <= sha256.Size {
		t.Fatalf("%s is not protected", name)
	}
	blob := func(b []byte) *windows.DataBlob {
		return &windows.DataBlob{Size: uint32(len(b)), Data: unsafe.SliceData(b)}
	}
	entropy := sha256.Sum256([]byte("muster\x00" + purpose + "\x00" + protected.MachineUID))
	var out windows.DataBlob
	err := windows.CryptUnprotectData(blob(protected.Wrapped[sha256.Size:]), nil, blob(entropy[:]), 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, &out)
	if err != nil {
		t.Fatalf("unprotect %s: %v", name, err)
	}
	e.Format, e.Payload = protected.Format, bytes.Clone(unsafe.Slice(out.Data, out.Size))
	_, _ = windows.LocalFree(windows.Handle(unsafe.Pointer(out.Data))) // of memory that is allocated it does not fail
	return e
}
