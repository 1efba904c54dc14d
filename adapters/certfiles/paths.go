package certfiles

import "io/fs"

const (
	publicMode fs.FileMode = 0o644
	keyMode    fs.FileMode = 0o600

	// maxPEM bounds what is read of a file, in bytes, and maxCRL what is read
	// of a revocation list: as much as of a server's answer
	// (docs/PROTOCOLS.md, "Rules for every request").
	maxPEM = 1 << 20
	maxCRL = 16 << 20
)

// Paths are where the files lie. All are needed and different.
type Paths struct{ CA, Server, Key, CRL string }

// kind is one of the files.
type kind struct {
	path  string
	mode  fs.FileMode
	limit int64 // of what is read, in bytes
}

func (p Paths) ca() kind     { return kind{p.CA, publicMode, maxPEM} }
func (p Paths) server() kind { return kind{p.Server, publicMode, maxPEM} }
func (p Paths) key() kind    { return kind{p.Key, keyMode, maxPEM} }
func (p Paths) crl() kind    { return kind{p.CRL, publicMode, maxCRL} }

func (p Paths) kinds() []kind { return []kind{p.ca(), p.server(), p.key(), p.crl()} }

// previous is what is kept of the file.
func (k kind) previous() kind {
	k.path += previousSuffix
	return k
}
