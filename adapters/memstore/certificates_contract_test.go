package memstore

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
)

func TestCertificateFiles(t *testing.T) {
	contracttest.CertificateFiles(t, func(*testing.T) func() *Certificates {
		p := new(Place)
		return func() *Certificates { return OpenCertificates(p) }
	})
}
