// Package cert judges the certificate files of a machine: the CA, the server's
// certificate with its intermediates, the private key and the revocation list.
//
// It does no I/O and asks no clock: the caller reads the files, says which of
// them it could not read, and gives the time. No text that this package returns
// holds key material.
package cert

import "github.com/muster-agent/muster/ports"

// Files are the certificate files (docs/SPEC.md, "Files, and what happens when
// one is lost") as the caller found them, or the parts of a bundle that a
// manager sent (Path is then the part's name).
type Files struct {
	CA     ports.FoundFile // ca.pem: the trust anchors
	Server ports.FoundFile // server.pem: the leaf and its intermediates, in any order
	Key    ports.FoundKey  // server.key.pem
	// Chain is a bundle's ca_chain: more intermediates, trusted no more than
	// those of Server. It may be zero, empty or without a certificate.
	Chain ports.FoundFile
	// CRL is crl.pem, in PEM or DER. It may be zero or missing.
	CRL ports.FoundFile
}

// unread is the problem of a file that was not read; nil if it was.
func unread(path string, err ports.FileError) []Problem {
	switch err := err.(type) {
	case nil:
		return nil
	case ports.FileMissing:
		return []Problem{{Status: ports.CertMissing, Path: path, Text: path + " is missing"}}
	case ports.FileDirectory:
		return []Problem{corrupt(path, "is a directory, not a file")}
	case ports.FileUnreadable:
		return []Problem{corrupt(path, "cannot be read ("+printable(err.Reason)+")")}
	}
	return []Problem{corrupt(path, "cannot be read")}
}

func corrupt(path, why string) Problem {
	return Problem{Status: ports.CertCorrupt, Path: path, Text: path + " " + why}
}
