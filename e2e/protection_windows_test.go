package e2e

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

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
	decode(t, e.Payload, &protected)
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
