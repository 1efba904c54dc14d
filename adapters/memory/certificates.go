package memory

import (
	"context"
	"slices"

	"github.com/muster-agent/muster/ports"
)

// AlterCertificates changes the present files behind the agent's back, by which a
// test damages and removes them. Their paths stay as they are.
func (p *Disk) AlterCertificates(alter func(*ports.FoundSet)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := cloneFound(p.certificates)
	alter(&found)
	p.certificates = new(cloneFound(&found))
}

// PutCertificates makes set the present files, as if placed by hand. A file for
// which it has nothing is missing.
func (p *Disk) PutCertificates(set ports.CertificateSet) {
	p.AlterCertificates(func(f *ports.FoundSet) {
		f.CA = ports.FoundFile{PEM: set.CA, Err: missingIf(len(set.CA) == 0)}
		f.Server = ports.FoundFile{PEM: set.Server, Err: missingIf(len(set.Server) == 0)}
		f.CRL = ports.FoundFile{PEM: set.CRL, Err: missingIf(len(set.CRL) == 0)}
		f.Key = ports.FoundKey{PEM: set.Key, Err: missingIf(set.Key.Empty())}
	})
}

func missingIf(absent bool) ports.FileError {
	if absent {
		return ports.FileMissing{}
	}
	return nil
}

// PreviousKept reports whether KeepPrevious was called since the last
// DropPrevious.
func (p *Disk) PreviousKept() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.previous != nil
}

// DamagedCopies returns the copies that were set aside of the certificate file at
// path, the oldest first.
func (p *Disk) DamagedCopies(path string) []ports.Secret {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.damagedFiles[path])
}

// Certificates is a process's view of a Disk's certificate files. It
// implements ports.CertificateFiles.
type Certificates struct{ store Store }

// OpenCertificates is a process's start over p.
func OpenCertificates(p *Disk) *Certificates { return &Certificates{Store{p}} }

// Read implements ports.CertificateFiles.
func (c *Certificates) Read(ctx context.Context) (found ports.FoundSet, err error) {
	err = c.store.call(ctx, func(Faults) error { return nil }, func(p *Disk) error {
		found = cloneFound(p.certificates)
		return nil
	})
	return found, err
}

// copiesKept is how many copies of one name are kept (docs/SPEC.md, "Files, and
// what happens when one is lost").
const copiesKept = 3

// SetAside implements ports.CertificateFiles.
func (c *Certificates) SetAside(ctx context.Context, damaged []ports.DamagedFile) error {
	return c.store.call(ctx, func(f Faults) error { return f.SetDamagedAside }, func(p *Disk) error {
		if p.certificates == nil {
			return nil
		}
		found := cloneFound(p.certificates)
		for _, d := range damaged {
			for _, f := range []*ports.FoundFile{&found.CA, &found.Server, &found.CRL} {
				if f.Path == d.Path && !f.Missing() {
					p.keepDamaged(f.Path, ports.NewSecret(string(f.PEM)))
					*f = ports.FoundFile{Err: ports.FileMissing{}}
				}
			}
			if k := &found.Key; k.Path == d.Path && !k.Missing() {
				p.keepDamaged(k.Path, k.PEM)
				*k = ports.FoundKey{Err: ports.FileMissing{}}
			}
		}
		p.certificates = new(cloneFound(&found))
		return nil
	})
}

func (p *Disk) keepDamaged(path string, content ports.Secret) {
	if p.damagedFiles == nil {
		p.damagedFiles = map[string][]ports.Secret{}
	}
	copies := append(p.damagedFiles[path], content)
	p.damagedFiles[path] = copies[max(0, len(copies)-copiesKept):]
}

// KeepPrevious implements ports.CertificateFiles. What cannot be read is not
// kept.
func (c *Certificates) KeepPrevious(ctx context.Context) error {
	return c.store.call(ctx, func(f Faults) error { return f.KeepPrevious }, func(p *Disk) error {
		kept := cloneFound(p.certificates)
		for _, f := range []*ports.FoundFile{&kept.CA, &kept.Server, &kept.CRL} {
			if f.Err != nil {
				*f = ports.FoundFile{Err: ports.FileMissing{}}
			}
		}
		if kept.Key.Err != nil {
			kept.Key = ports.FoundKey{Err: ports.FileMissing{}}
		}
		p.previous = &kept
		return nil
	})
}

// Install implements ports.CertificateFiles.
func (c *Certificates) Install(ctx context.Context, set ports.CertificateSet) error {
	return c.store.call(ctx, func(f Faults) error { return f.Install }, func(p *Disk) error {
		found := cloneFound(p.certificates)
		found.CA = ports.FoundFile{PEM: set.CA}
		found.Server = ports.FoundFile{PEM: set.Server}
		if p.faults.InstallMixture == nil {
			found.Key = ports.FoundKey{PEM: set.Key}
			if len(set.CRL) > 0 {
				found.CRL = ports.FoundFile{PEM: set.CRL}
			}
		}
		p.certificates = new(cloneFound(&found))
		return p.faults.InstallMixture
	})
}

// RestorePrevious implements ports.CertificateFiles.
func (c *Certificates) RestorePrevious(ctx context.Context) error {
	return c.store.call(ctx, func(f Faults) error { return f.RestorePrevious }, func(p *Disk) error {
		p.certificates = new(cloneFound(p.previous))
		return nil
	})
}

// DropPrevious implements ports.CertificateFiles.
func (c *Certificates) DropPrevious(ctx context.Context) error {
	return c.store.call(ctx, func(f Faults) error { return f.DropPrevious }, func(p *Disk) error {
		p.previous = nil
		return nil
	})
}

// InstallCRL implements ports.CertificateFiles.
func (c *Certificates) InstallCRL(ctx context.Context, pem []byte) error {
	return c.store.call(ctx, func(f Faults) error { return f.InstallCRL }, func(p *Disk) error {
		found := cloneFound(p.certificates)
		found.CRL = ports.FoundFile{PEM: pem}
		p.certificates = new(cloneFound(&found))
		return nil
	})
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
