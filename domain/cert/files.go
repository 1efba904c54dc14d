// Package cert judges the certificate files of a machine: the CA, the server's
// certificate with its intermediates, the private key and the revocation list.
//
// It is pure: the caller reads the files and says how that went, and time is
// an argument. No text that it returns holds key material.
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
	// those of Server. Zero, empty or without a certificate: there is none.
	Chain ports.FoundFile
	// CRL is crl.pem, PEM or DER. Zero or Missing: there is none.
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
		return []Problem{corrupt(path, "cannot be read ("+plain(err.Reason)+")")}
	}
	return []Problem{corrupt(path, "cannot be read")}
}

func corrupt(path, why string) Problem {
	return Problem{Status: ports.CertCorrupt, Path: path, Text: path + " " + why}
}
