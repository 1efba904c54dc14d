package memory

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
)

func TestCertificateFiles(t *testing.T) {
	contracttest.CertificateFiles(t, disks(OpenCertificates))
}
