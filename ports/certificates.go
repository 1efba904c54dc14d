package ports

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// CertificateFiles are the files that hold this machine's certificate, at the
// paths that are configured: inside the state directory or elsewhere.
//
// Each file is replaced atomically and synced. Calls may be concurrent; each
// takes effect as a whole within this process. No error holds key material.
type CertificateFiles interface {
	// Read reads the four files. It fails only when ctx is done; why a file was
	// not read is in that file's Err.
	Read(ctx context.Context) (FoundSet, error)
	// SetAside moves files out of the way of those that are about to replace
	// them: each is renamed, as it is, to
	// <name>.damaged-<20060102T150405.000000000Z>. The newest three copies of
	// each name are kept. A path where nothing lies, or that is none of the
	// four, is passed over. A crash or an error leaves each file either where it
	// was or set aside; calling SetAside again completes the move. It fails with
	// ErrNotWritten.
	SetAside(ctx context.Context, damaged []DamagedFile) error
	// KeepPrevious makes copies of the present files the previous ones
	// (<name>.previous), in place of those kept before. A file that is absent
	// has no previous one afterwards. A crash in the middle leaves the present
	// files as they are; calling KeepPrevious again completes it. It fails with
	// ErrNotWritten.
	KeepPrevious(ctx context.Context) error
	// Install replaces the files by a set. An empty CRL leaves the present one.
	// A crash in the middle, or ErrNotWritten, leaves a mixture of old and new
	// files; calling Install again completes it.
	Install(ctx context.Context, set CertificateSet) error
	// RestorePrevious puts the previous files back, and removes each that had
	// no previous one. It can be called again after a crash.
	RestorePrevious(ctx context.Context) error
	// DropPrevious removes the previous files.
	DropPrevious(ctx context.Context) error
	// InstallCRL replaces the revocation list alone.
	InstallCRL(ctx context.Context, pem []byte) error
	// Erase removes the files, the previous ones and every copy that was set
	// aside, and returns the paths of those that are gone, also beside an
	// error. Calling it again removes the rest. It fails with ErrNotWritten.
	Erase(ctx context.Context) (removed []string, err error)
}

// CertificateSet is the content of the files, PEM.
type CertificateSet struct {
	CA     []byte
	Server []byte // the leaf, then intermediates
	Key    Secret
	CRL    []byte // may be empty
}

// FoundSet is the files as they were found.
type FoundSet struct {
	CA, Server, CRL FoundFile
	Key             FoundKey
}

// FoundFile is a file that was read to its end, or why it was not.
type FoundFile struct {
	Path string
	PEM  []byte // nil if Err is set; a revocation list may be DER
	Err  FileError
}

// Missing reports that there is no such file.
func (f FoundFile) Missing() bool { return f.Err == FileMissing{} }

// FoundKey is a FoundFile for the private key.
type FoundKey struct {
	Path string
	PEM  Secret
	Err  FileError
}

// Missing reports that there is no such file.
func (k FoundKey) Missing() bool { return k.Err == FileMissing{} }

// FileError is the closed set of reasons why a file was not read.
//
//sumtype:decl
type FileError interface{ fileError() }

type (
	// FileMissing: there is nothing of that name.
	FileMissing struct{}
	// FileDirectory: there is a directory of that name.
	FileDirectory struct{}
	// FileUnreadable: there is something that cannot be read. Reason is what the
	// operating system says ("permission denied").
	FileUnreadable struct{ Reason string }
)

func (FileMissing) fileError()    {}
func (FileDirectory) fileError()  {}
func (FileUnreadable) fileError() {}

// DamagedFile is a certificate file that cannot be decoded.
type DamagedFile struct {
	Path   string // as FoundSet has it
	Reason string // what is wrong with it, for a report; quotes nothing of it
}

// CertificateInUse is the certificate by which this machine proves who it is,
// and the roots by which it judges its peers.
type CertificateInUse struct {
	Certificate tls.Certificate
	Roots       *x509.CertPool // the CAs that sign its peers
	// Revoked reports whether a peer's certificate was revoked by its issuer.
	Revoked func(peer *x509.Certificate) bool
}

// CertificateHolder is told which certificate is in use. New connections of
// the listener and of the clients take it; those that are open stay as they
// are.
type CertificateHolder interface {
	// Use replaces the certificate in use; nil means that there is none.
	Use(c *CertificateInUse)
}

// Listener serves mTLS with the certificate in use (TLS 1.3; clients must have
// a certificate that its roots verify and that is not revoked): GET /health.
type Listener interface {
	// Serve opens addr, calls opened with the real address, and answers until
	// ctx is done; it then returns nil, within 1 s. An address that cannot be
	// opened gives an error that names it: an *AddressInUseError where another
	// process has it. Serve may be called again once it has returned.
	Serve(ctx context.Context, addr string, health func() Health, opened func(addr string)) error
}

// ErrAddressInUse is the kind of every *AddressInUseError.
var ErrAddressInUse = errors.New("the address is in use")

// AddressInUseError names an address that cannot be listened on and, where it
// could be found, the process that listens there.
type AddressInUseError struct {
	Addr    string // as it was to be opened
	PID     int    // 0 if it could not be found
	Process string // its name; empty if it could not be found
}

func (e *AddressInUseError) Error() string {
	holder := "another process"
	if e.PID != 0 {
		holder = fmt.Sprintf("process %d (%s)", e.PID, e.Process)
	}
	return fmt.Sprintf("listening on %s: %v by %s: stop it, or set MUSTER_LISTEN_ADDR to another address", e.Addr, ErrAddressInUse, holder)
}

// Is reports that target is ErrAddressInUse.
func (e *AddressInUseError) Is(target error) bool { return target == ErrAddressInUse }

// Health is the answer of GET /health.
type Health struct {
	Status      OverallState
	Version     string
	Uptime      time.Duration // in whole seconds
	Certificate CertificateReport
}
