package memory

import (
	"context"
	"slices"

	"github.com/muster-agent/muster/ports"
)

// AlterCertificates changes the present files behind the agent's back, by which a
// test damages and removes them. Their paths stay as they are.
func (d *Disk) AlterCertificates(alter func(*ports.FoundSet)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alterCertificates(alter)
}

func (d *Disk) alterCertificates(alter func(*ports.FoundSet)) {
	found := cloneFound(d.certificates)
	alter(&found)
	d.certificates = new(cloneFound(&found))
}

// PreviousKept reports whether KeepPrevious was called since the last
// DropPrevious.
func (d *Disk) PreviousKept() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.previous != nil
}

// DamagedCopies returns the copies that were set aside of the certificate file at
// path, the oldest first.
func (d *Disk) DamagedCopies(path string) []ports.Secret {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.damagedFiles[path])
}

// keepDamaged keeps what a file held, and the newest of the copies only.
func (d *Disk) keepDamaged(path string, content ports.Secret) {
	const kept = 3 // of one name (docs/SPEC.md, "Files, and what happens when one is lost")
	if d.damagedFiles == nil {
		d.damagedFiles = map[string][]ports.Secret{}
	}
	copies := append(d.damagedFiles[path], content)
	d.damagedFiles[path] = copies[max(0, len(copies)-kept):]
}

// Certificates is a process's view of a Disk's certificate files. It
// implements ports.CertificateFiles.
type Certificates struct{ disk *Disk }

// OpenCertificates is a process's start over d.
func OpenCertificates(d *Disk) *Certificates { return &Certificates{d} }

// Read implements ports.CertificateFiles.
func (c *Certificates) Read(ctx context.Context) (found ports.FoundSet, err error) {
	err = c.disk.call(ctx, func(Faults) error { return nil }, func() error {
		found = cloneFound(c.disk.certificates)
		return nil
	})
	return found, err
}

// SetAside implements ports.CertificateFiles.
func (c *Certificates) SetAside(ctx context.Context, damaged []ports.DamagedFile) error {
	d := c.disk
	return d.call(ctx, func(f Faults) error { return f.SetDamagedAside }, func() error {
		if d.certificates == nil {
			return nil
		}
		d.alterCertificates(func(found *ports.FoundSet) {
			for _, file := range damaged {
				for _, f := range []*ports.FoundFile{&found.CA, &found.Server, &found.CRL} {
					if f.Path == file.Path && !f.Missing() {
						d.keepDamaged(f.Path, ports.NewSecret(string(f.PEM)))
						*f = ports.FoundFile{Err: ports.FileMissing{}}
					}
				}
				if k := &found.Key; k.Path == file.Path && !k.Missing() {
					d.keepDamaged(k.Path, k.PEM)
					*k = ports.FoundKey{Err: ports.FileMissing{}}
				}
			}
		})
		return nil
	})
}

// KeepPrevious implements ports.CertificateFiles. What cannot be read is not
// kept.
func (c *Certificates) KeepPrevious(ctx context.Context) error {
	return c.disk.call(ctx, func(f Faults) error { return f.KeepPrevious }, func() error {
		kept := cloneFound(c.disk.certificates)
		for _, f := range []*ports.FoundFile{&kept.CA, &kept.Server, &kept.CRL} {
			if f.Err != nil {
				*f = ports.FoundFile{Err: ports.FileMissing{}}
			}
		}
		if kept.Key.Err != nil {
			kept.Key = ports.FoundKey{Err: ports.FileMissing{}}
		}
		c.disk.previous = &kept
		return nil
	})
}

// Install implements ports.CertificateFiles.
func (c *Certificates) Install(ctx context.Context, set ports.CertificateSet) error {
	d := c.disk
	return d.call(ctx, func(f Faults) error { return f.Install }, func() error {
		d.alterCertificates(func(found *ports.FoundSet) {
			found.CA = ports.FoundFile{PEM: set.CA}
			found.Server = ports.FoundFile{PEM: set.Server}
			if d.faults.InstallMixture != nil {
				return
			}
			found.Key = ports.FoundKey{PEM: set.Key}
			if len(set.CRL) > 0 {
				found.CRL = ports.FoundFile{PEM: set.CRL}
			}
		})
		return d.faults.InstallMixture
	})
}

// RestorePrevious implements ports.CertificateFiles.
func (c *Certificates) RestorePrevious(ctx context.Context) error {
	return c.disk.call(ctx, func(f Faults) error { return f.RestorePrevious }, func() error {
		c.disk.certificates = new(cloneFound(c.disk.previous))
		return nil
	})
}

// DropPrevious implements ports.CertificateFiles.
func (c *Certificates) DropPrevious(ctx context.Context) error {
	return c.disk.call(ctx, func(f Faults) error { return f.DropPrevious }, func() error {
		c.disk.previous = nil
		return nil
	})
}

// InstallCRL implements ports.CertificateFiles.
func (c *Certificates) InstallCRL(ctx context.Context, pem []byte) error {
	return c.disk.call(ctx, func(f Faults) error { return f.InstallCRL }, func() error {
		c.disk.alterCertificates(func(found *ports.FoundSet) { found.CRL = ports.FoundFile{PEM: pem} })
		return nil
	})
}

// Erase implements ports.CertificateFiles.
func (c *Certificates) Erase(ctx context.Context) (removed []string, err error) {
	err = c.disk.call(ctx, func(f Faults) error { return f.Erase }, func() error {
		removed = c.disk.eraseCertificates()
		return nil
	})
	return removed, err
}

// eraseCertificates forgets all that is known of the files and returns the paths
// of those that were there.
func (d *Disk) eraseCertificates() (removed []string) {
	found := cloneFound(d.certificates)
	for _, f := range []ports.FoundFile{found.CA, found.Server, {Path: found.Key.Path, Err: found.Key.Err}, found.CRL} {
		if !f.Missing() {
			removed = append(removed, f.Path)
		}
	}
	d.certificates, d.previous, d.damagedFiles = nil, nil, nil
	return removed
}

// cloneFound returns a copy that shares nothing with the original; nil stands for
// no files at all.
func cloneFound(original *ports.FoundSet) (f ports.FoundSet) {
	if original != nil {
		f = *original
	} else {
		missing := ports.FileMissing{}
		f.CA.Err, f.Server.Err, f.Key.Err, f.CRL.Err = missing, missing, missing, missing
	}
	f.CA.Path, f.CA.PEM = "memory/certs/ca.pem", slices.Clone(f.CA.PEM)
	f.Server.Path, f.Server.PEM = "memory/certs/server.pem", slices.Clone(f.Server.PEM)
	f.CRL.Path, f.CRL.PEM = "memory/certs/crl.pem", slices.Clone(f.CRL.PEM)
	f.Key.Path = "memory/certs/server.key.pem"
	return f
}
