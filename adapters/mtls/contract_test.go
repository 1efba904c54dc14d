package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/muster-agent/muster/contracttest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.Listener(t, func(*testing.T) contracttest.ListenerUnderTest {
		holder := new(Holder)
		return contracttest.ListenerUnderTest{
			Listener: NewListener(Options{Holder: holder}), Holder: holder,
			FreeAddress: "127.0.0.1:0",
			Connect: func(addr string, client tls.Certificate, roots *x509.CertPool) (contracttest.ListenerConn, error) {
				return connect(addr, client, roots)
			},
		}
	})
}
