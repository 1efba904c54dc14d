// Package certfiles keeps this machine's certificate, its key, the CA and the
// revocation list as PEM files at configured paths, where other programs and
// people may look at them too.
//
// A file is read through symbolic links, which is how administrators place
// certificates. It is never written through one: a new file takes the link's
// place, and what the link leads to stays as it is.
package certfiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

const previousSuffix = ".previous"

// Files are the certificate files. It implements ports.CertificateFiles.
//
// The files have mode 0644, the key 0600. A missing directory is made with mode
// 0700. What root makes in a directory that another user owns belongs to that
// user.
type Files struct {
	// Recovered is told of what was set aside; it may be nil. It is set before
	// the first call, and called without a lock held, in the goroutine of the
	// call that met the file.
	Recovered func(ports.Recovery)
	// Guard makes the key's file and the directories where modes do not keep
	// others out; nil elsewhere. It is set before the first call.
	Guard ports.Guard

	paths Paths
	disk  durable.Disk

	mu      sync.Mutex
	reports []ports.Recovery // not yet passed to Recovered
}

// New returns the files at paths. It changes nothing.
func New(paths Paths) *Files { return &Files{paths: paths} }

// begin starts a call: end must be called when it is over.
func (f *Files) begin(ctx context.Context) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	if err := ctx.Err(); err != nil {
		f.mu.Unlock()
		return nil, err
	}
	return func() {
		reports := f.reports
		f.reports = nil
		f.mu.Unlock()
		if f.Recovered != nil {
			for _, r := range reports {
				f.Recovered(r)
			}
		}
	}, nil
}

// Read implements ports.CertificateFiles. A link that leads nowhere counts as
// missing. A file of more than 1 MiB, a revocation list of more than 16 MiB, is
// unreadable.
func (f *Files) Read(ctx context.Context) (ports.FoundSet, error) {
	end, err := f.begin(ctx)
	if err != nil {
		return ports.FoundSet{}, err
	}
	defer end()
	key := f.look(f.paths.key())
	return ports.FoundSet{
		CA:     f.look(f.paths.ca()),
		Server: f.look(f.paths.server()),
		CRL:    f.look(f.paths.crl()),
		Key:    ports.FoundKey{Path: key.Path, PEM: ports.NewSecret(string(key.PEM)), Err: key.Err},
	}, nil
}

// KeepPrevious implements ports.CertificateFiles. The previous files are copies.
// What is no file, or one that this process may not read, is not kept; Install
// sets it aside.
func (f *Files) KeepPrevious(ctx context.Context) error {
	end, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	var changes []change
	for _, k := range f.paths.kinds() {
		data, err := f.read(k.path, k.limit)
		absent := errors.Is(err, fs.ErrNotExist) || permanent(err)
		if err != nil && !absent {
			return notWritten(k.previous().path, err)
		}
		changes = append(changes, change{kind: k.previous(), data: data, remove: absent})
	}
	return f.apply(changes)
}

// Install implements ports.CertificateFiles. All new files are on disk before
// the first replaces another, so that a full disk leaves no mixture. What lies
// in a file's place and is no file, or one that this process may not read, is
// set aside.
func (f *Files) Install(ctx context.Context, set ports.CertificateSet) error {
	end, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	key := []byte(set.Key.Reveal()) // into the file that protects it
	changes := []change{
		{kind: f.paths.ca(), data: set.CA},
		{kind: f.paths.server(), data: set.Server},
		{kind: f.paths.key(), data: key},
	}
	if len(set.CRL) > 0 {
		changes = append(changes, change{kind: f.paths.crl(), data: set.CRL})
	}
	return f.apply(changes)
}

// RestorePrevious implements ports.CertificateFiles. The previous files stay
// until DropPrevious.
func (f *Files) RestorePrevious(ctx context.Context) error {
	end, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	var changes []change
	for _, k := range f.paths.kinds() {
		data, err := f.read(k.previous().path, k.limit)
		absent := errors.Is(err, fs.ErrNotExist)
		if err != nil && !absent {
			return notWritten(k.path, fmt.Errorf("%s cannot be read: %w", k.previous().path, durable.Cause(err)))
		}
		changes = append(changes, change{kind: k, data: data, remove: absent})
	}
	return f.apply(changes)
}

// DropPrevious implements ports.CertificateFiles.
func (f *Files) DropPrevious(ctx context.Context) error {
	end, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	var changes []change
	for _, k := range f.paths.kinds() {
		changes = append(changes, change{kind: k.previous(), remove: true})
	}
	return f.apply(changes)
}

// InstallCRL implements ports.CertificateFiles.
func (f *Files) InstallCRL(ctx context.Context, pem []byte) error {
	end, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return f.apply([]change{{kind: f.paths.crl(), data: pem}})
}
