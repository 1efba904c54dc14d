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

func TestListenerInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		l := new(Listener)
		noHealth := func() ports.Health { return ports.Health{} }
		l.Take("127.0.0.1:12443", true)
		err := l.Serve(t.Context(), "127.0.0.1:12443", noHealth, func(string) {})
		is.Equal(err, &ports.AddressInUseError{Addr: "127.0.0.1:12443"})
		l.Take("127.0.0.1:12443", false)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		go func() { is.NoErr(l.Serve(ctx, "127.0.0.1:12443", noHealth, func(string) {})) }()
		synctest.Wait()
		is.Equal(l.Addresses(), []string{"127.0.0.1:12443"})
		time.Sleep(25 * time.Hour)
		is.Equal(len(l.Addresses()), 0)
	})
}
