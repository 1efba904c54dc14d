// Package cert judges the certificate files of a machine: the CA, the server's
// certificate with its intermediates, the private key and the revocation list.
//
// It is pure: the caller reads the files and says how that went, and time is
// an argument. No text that it returns holds key material.
package cert

import "github.com/muster-agent/muster/ports"

// Files are the certificate files of interface.md as the caller found them, or
// the parts of a bundle that a manager sent (Path is then the part's name).
type Files struct {
	CA     File    // ca.pem: the trust anchors
	Server File    // server.pem: the leaf and its intermediates, in any order
	Key    KeyFile // server.key.pem
	// Chain is a bundle's ca_chain: more intermediates, trusted no more than
	// those of Server. Zero, empty or without a certificate: there is none.
	Chain File
	// CRL is crl.pem, PEM or DER. Zero or Missing: there is none.
	CRL File
}

// File is one file. PEM counts only where Err is nil, which means that the
// file was read to its end.
type File struct {
	Path string
	PEM  []byte
	Err  FileError
}

// KeyFile is the file of the private key.
type KeyFile struct {
	Path string
	PEM  ports.Secret
	Err  FileError
}

// FileError is the closed set of reasons why a file was not read.
//
//sumtype:decl
type FileError interface{ fileError() }

type (
	// Missing: there is nothing of that name.
	Missing struct{}
	// Directory: there is a directory of that name.
	Directory struct{}
	// Unreadable: there is something that cannot be read. Reason is the
	// operating system's ("permission denied").
	Unreadable struct{ Reason string }
)

func (Missing) fileError()    {}
func (Directory) fileError()  {}
func (Unreadable) fileError() {}

// unread is the problem of a file that was not read; nil if it was.
func unread(path string, err FileError) []Problem {
	switch err := err.(type) {
	case nil:
		return nil
	case Missing:
		return []Problem{{Status: ports.CertMissing, Path: path, Text: path + " is missing"}}
	case Directory:
		return []Problem{corrupt(path, "is a directory, not a file")}
	case Unreadable:
		return []Problem{corrupt(path, "cannot be read ("+plain(err.Reason)+")")}
	}
	return []Problem{corrupt(path, "cannot be read")}
}

func corrupt(path, why string) Problem {
	return Problem{Status: ports.CertCorrupt, Path: path, Text: path + " " + why}
}
