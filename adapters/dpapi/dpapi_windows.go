package dpapi

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/ports"
)

// Protector implements ports.Protector. The zero value is usable.
//
// A wrapping is the SHA-256 of the blob, followed by the blob: Windows does not
// check every byte of a blob's header, nor what follows a blob.
type Protector struct{}

// Name implements ports.Protector.
func (Protector) Name() string { return "dpapi" }

// Protect implements ports.Protector.
func (Protector) Protect(secret ports.Secret, purpose, machineUID string) ([]byte, error) {
	plain := []byte(secret.Reveal()) // only DPAPI gets it
	defer clear(plain)
	in, entropy := blobOf(plain), entropyOf(purpose, machineUID)
	var out windows.DataBlob
	err := windows.CryptProtectData(&in, nil, &entropy, 0, nil,
		windows.CRYPTPROTECT_LOCAL_MACHINE|windows.CRYPTPROTECT_UI_FORBIDDEN, &out)
	if err != nil {
		return nil, fmt.Errorf("protecting a secret by DPAPI: %w", err)
	}
	defer free(out)
	blob := contentOf(out)
	sum := sha256.Sum256(blob)
	return append(sum[:], blob...), nil
}

// Unprotect implements ports.Protector.
func (p Protector) Unprotect(wrapped []byte, purpose, machineUID string) (ports.Secret, error) {
	if len(wrapped) < sha256.Size {
		return ports.Secret{}, ports.ErrUnprotectable
	}
	blob := wrapped[sha256.Size:]
	if sum := sha256.Sum256(blob); !bytes.Equal(sum[:], wrapped[:sha256.Size]) {
		return ports.Secret{}, ports.ErrUnprotectable
	}
	secret, err := unprotect(blob, purpose, machineUID)
	if err == nil {
		return secret, nil
	}
	// Windows has dozens of codes for what may be wrong with a blob, and none is
	// certain. If it can unprotect something else, the blob is at fault.
	if probeErr := p.probe(); probeErr != nil {
		return ports.Secret{}, fmt.Errorf("%w: DPAPI does not work for this process: %w; restart the machine, and look at its event log if that does not help",
			ports.ErrUnreadable, probeErr)
	}
	return ports.Secret{}, fmt.Errorf("%w (%w)", ports.ErrUnprotectable, err)
}

// probe protects something and unprotects it again.
func (p Protector) probe() error {
	wrapped, err := p.Protect(ports.NewSecret("probe"), "probe", "")
	if err != nil {
		return err
	}
	secret, err := unprotect(wrapped[sha256.Size:], "probe", "")
	if err == nil && secret.Reveal() != "probe" {
		return errors.New("it does not give back what it was given")
	}
	return err
}

func unprotect(blob []byte, purpose, machineUID string) (ports.Secret, error) {
	in, entropy := blobOf(blob), entropyOf(purpose, machineUID)
	var out windows.DataBlob
	err := windows.CryptUnprotectData(&in, nil, &entropy, 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, &out)
	if err != nil {
		return ports.Secret{}, err
	}
	defer free(out)
	return ports.NewSecret(string(contentOf(out))), nil
}

// entropyOf binds a blob to its purpose and to the machine.
func entropyOf(purpose, machineUID string) windows.DataBlob {
	sum := sha256.Sum256([]byte("muster\x00" + purpose + "\x00" + machineUID))
	return blobOf(sum[:])
}

// blobOf describes b. The garbage collector keeps b for as long as the blob.
func blobOf(b []byte) windows.DataBlob {
	return windows.DataBlob{Size: uint32(len(b)), Data: unsafe.SliceData(b)}
}

// contentOf is the memory of a blob that Windows allocated.
func contentOf(b windows.DataBlob) []byte { return unsafe.Slice(b.Data, b.Size) }

// free wipes and frees what Windows allocated.
func free(b windows.DataBlob) {
	clear(contentOf(b))
	_, _ = windows.LocalFree(windows.Handle(unsafe.Pointer(b.Data))) // of memory that is allocated it does not fail
}
