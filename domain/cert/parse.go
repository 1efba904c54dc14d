package cert

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/muster-agent/muster/ports"
)

const certificateType = "CERTIFICATE"

// byteOrderMark is what some Windows editors put before a text. It would hide the
// first PEM block, which must begin a line.
var byteOrderMark = []byte("\xef\xbb\xbf")

// located is a certificate and the file that it is from.
type located struct {
	*x509.Certificate
	path string
}

// certificates reads all certificates of a file. Text around them, line ends of
// any system and blocks of another type do not matter. A certificate that begins
// and cannot be read makes the whole file corrupt, because it may be the one
// that is needed. A file without certificates is a problem too.
func certificates(f ports.FoundFile) ([]located, []Problem) {
	if problems := unread(f.Path, f.Err); problems != nil {
		return nil, problems
	}
	if len(bytes.TrimSpace(f.PEM)) == 0 {
		return nil, []Problem{corrupt(f.Path, "is empty")}
	}
	rest := bytes.TrimPrefix(f.PEM, byteOrderMark)
	expected := begun(rest, certificateType)
	var found []located
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != certificateType {
			continue
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, []Problem{corrupt(f.Path, fmt.Sprintf("is damaged: certificate %d of %d cannot be decoded (%s)", len(found)+1, expected, printable(err.Error())))}
		}
		found = append(found, located{parsed, f.Path})
	}
	switch {
	case len(found) < expected:
		return nil, []Problem{corrupt(f.Path, fmt.Sprintf("is cut short or damaged: %d of its %d certificates can be read", len(found), expected))}
	case len(found) == 0:
		return nil, []Problem{corrupt(f.Path, "holds no PEM certificate")}
	}
	return found, nil
}

// begun counts the lines that begin a PEM block of a type, whether or not the
// block is whole.
func begun(text []byte, blockType string) int {
	marker, n := []byte("-----BEGIN "+blockType+"-----"), 0
	for line := range bytes.Lines(text) {
		if bytes.Equal(bytes.TrimRight(line, " \t\r\n"), marker) {
			n++
		}
	}
	return n
}
