package memory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestListener(t *testing.T) {
	t.Parallel()
	contracttest.Listener(t, func(*testing.T) contracttest.ListenerUnderTest {
		l := new(Listener)
		return contracttest.ListenerUnderTest{
			Listener: l, Holder: l,
			FreeAddress: "127.0.0.1:0",
			Connect: func(addr string, client tls.Certificate, roots *x509.CertPool) (contracttest.ListenerConn, error) {
				chain, err := parseAll(client.Certificate)
				if err != nil {
					return nil, err
				}
				conn, err := l.Connect(addr, chain, roots)
				return listenerConn{conn}, err
			},
		}
	})
}

type listenerConn struct{ *ListenerConn }

func (c listenerConn) Served() *x509.Certificate { return c.ListenerConn.Served }
func (c listenerConn) Close()                    {}

func TestListenerOfAnotherProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		const addr = "127.0.0.1:12443"
		l := new(Listener)
		noHealth := func() ports.Health { return ports.Health{} }
		l.Take(addr, true)
		is.Equal(l.Serve(t.Context(), addr, noHealth, func(string) {}), &ports.AddressInUseError{Addr: addr})
		l.Take(addr, false)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		start := time.Now()
		is.NoErr(l.Serve(ctx, addr, noHealth, func(opened string) { is.Equal(opened, addr) }))
		is.Equal(time.Since(start), 24*time.Hour)
	})
}
