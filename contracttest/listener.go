package contracttest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// ListenerUnderTest is a listener, and clients of it.
type ListenerUnderTest struct {
	Listener ports.Listener
	Holder   ports.CertificateHolder
	// Connect opens a connection to addr. It presents client, or nothing if
	// that is empty, and trusts roots.
	Connect func(addr string, client tls.Certificate, roots *x509.CertPool) (ListenerConn, error)
	// FreeAddress is one whose port the system picks, "127.0.0.1:0".
	FreeAddress string
}

// ListenerConn is a client's connection.
type ListenerConn interface {
	// Health is GET /health on this connection and no other.
	Health() (ports.Health, error)
	// Served is the certificate that the listener showed.
	Served() *x509.Certificate
	Close()
}

// Listener is the suite of ports.Listener and ports.CertificateHolder. Each
// fresh is a listener of its own, with no certificate in use.
func Listener(t *testing.T, fresh func(*testing.T) ListenerUnderTest) {
	names(t, "Listener")
	ca, stranger := newListenerCA(t, "the CA"), newListenerCA(t, "another CA")
	server, client := ca.issue(t, listenerLeaf{}), ca.issue(t, listenerLeaf{})
	inUse := func(c tls.Certificate) *ports.CertificateInUse {
		return &ports.CertificateInUse{Certificate: c, Roots: ca.pool()}
	}
	health := ports.Health{
		Status: ports.StateServing, Version: "1.2.3", Uptime: 90 * time.Second,
		Certificate: ports.CertificateReport{
			Status:    ports.CertExpiringSoon,
			NotBefore: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC), NotAfter: time.Date(2032, 5, 6, 7, 8, 9, 0, time.UTC),
			RenewAt: time.Date(2032, 1, 2, 3, 4, 5, 0, time.UTC), Subject: "CN=web-3.example.org",
		},
	}
	healthy := func() ports.Health { return health }

	t.Run("answers with the health of the moment", func(t *testing.T) {
		is := is.New(t)
		l := fresh(t)
		l.Holder.Use(inUse(server))
		var now atomic.Pointer[ports.Health]
		now.Store(&ports.Health{Status: ports.StateEnrolling, Certificate: ports.CertificateReport{Status: ports.CertMissing}})
		addr, _ := serveListener(t, l, l.FreeAddress, func() ports.Health { return *now.Load() })
		got, err := askListener(l, addr, client, ca.pool())
		is.NoErr(err)
		is.Equal(got, *now.Load())
		now.Store(&health)
		got, err = askListener(l, addr, client, ca.pool())
		is.NoErr(err)
		is.Equal(got, health)
	})
	t.Run("says the real address, which can be opened again", func(t *testing.T) {
		is := is.New(t)
		l := fresh(t)
		l.Holder.Use(inUse(server))
		addr, stop := serveListener(t, l, l.FreeAddress, healthy)
		_, port, err := net.SplitHostPort(addr)
		is.NoErr(err)
		is.True(port != "0") // the one that the system picked
		is.NoErr(stop())
		_, err = askListener(l, addr, client, ca.pool())
		is.True(err != nil) // nobody listens
		again, _ := serveListener(t, l, addr, healthy)
		is.Equal(again, addr) // on a machine's own sockets perhaps a moment later, see serveListener
		_, err = askListener(l, addr, client, ca.pool())
		is.NoErr(err)
	})
	t.Run("ends within a second while a client is connected", func(t *testing.T) {
		is := is.New(t)
		quickly(t, time.Second, func() time.Duration {
			l := fresh(t)
			l.Holder.Use(inUse(server))
			addr, stop := serveListener(t, l, l.FreeAddress, healthy)
			conn, err := l.Connect(addr, client, ca.pool())
			is.NoErr(err)
			defer conn.Close()
			_, err = conn.Health()
			is.NoErr(err)
			start := time.Now()
			is.NoErr(stop())
			took := time.Since(start)
			_, err = conn.Health()
			is.True(err != nil) // the connection was closed
			return took
		})
	})
	t.Run("a context that is done", func(t *testing.T) {
		l := fresh(t)
		is.New(t).NoErr(l.Listener.Serve(canceled(), l.FreeAddress, healthy, func(string) {}))
	})
	t.Run("an address in use", func(t *testing.T) {
		is := is.New(t)
		l := fresh(t)
		l.Holder.Use(inUse(server))
		addr, _ := serveListener(t, l, l.FreeAddress, healthy)
		err := l.Listener.Serve(within(t, soon), addr, healthy, func(string) { t.Error("it was opened twice") })
		is.True(errors.Is(err, ports.ErrAddressInUse))
		var inUse *ports.AddressInUseError
		is.True(errors.As(err, &inUse))
		is.Equal(inUse.Addr, addr)
		is.True(strings.Contains(err.Error(), addr))
		_, err = askListener(l, addr, client, ca.pool())
		is.NoErr(err) // the first goes on
	})
	t.Run("an address that is none", func(t *testing.T) {
		is := is.New(t)
		const addr = "127.0.0.1"
		err := fresh(t).Listener.Serve(within(t, soon), addr, healthy, func(string) { t.Error("it was opened") })
		is.True(err != nil) // it has no port
		is.True(strings.Contains(err.Error(), addr))
		is.True(!errors.Is(err, ports.ErrAddressInUse))
	})
	t.Run("gives nothing to a client that it does not trust", func(t *testing.T) {
		intermediate := ca.intermediate(t)
		for name, refused := range map[string]tls.Certificate{
			"no certificate":                         {},
			"another CA":                             stranger.issue(t, listenerLeaf{}),
			"a CA of the same name":                  newListenerCA(t, "the CA").issue(t, listenerLeaf{}),
			"not for clients":                        ca.issue(t, listenerLeaf{serverOnly: true}),
			"expired":                                ca.issue(t, listenerLeaf{expired: true}),
			"an intermediate that it does not bring": {Certificate: intermediate.leaf.Certificate[:1], PrivateKey: intermediate.leaf.PrivateKey},
			"revoked":                                client,
			"issued by an intermediate that was revoked": intermediate.leaf,
		} {
			t.Run(name, func(t *testing.T) {
				is := is.New(t)
				l := fresh(t)
				c := inUse(server)
				if name == "revoked" || name == "issued by an intermediate that was revoked" {
					revoked, err := x509.ParseCertificate(refused.Certificate[len(refused.Certificate)-1])
					is.NoErr(err)
					c.Revoked = revoked.Equal
				}
				l.Holder.Use(c)
				addr, _ := serveListener(t, l, l.FreeAddress, func() ports.Health {
					t.Error("it was asked")
					return ports.Health{}
				})
				_, err := askListener(l, addr, refused, ca.pool())
				is.True(err != nil) // refused
			})
		}
	})
	t.Run("takes a client with its intermediates, and one whose sister was revoked", func(t *testing.T) {
		is := is.New(t)
		l := fresh(t)
		c := inUse(server)
		revoked, err := x509.ParseCertificate(client.Certificate[0])
		is.NoErr(err)
		c.Revoked = revoked.Equal
		l.Holder.Use(c)
		addr, _ := serveListener(t, l, l.FreeAddress, healthy)
		_, err = askListener(l, addr, ca.intermediate(t).leaf, ca.pool())
		is.NoErr(err)
	})
	t.Run("trusts nobody without roots", func(t *testing.T) {
		is := is.New(t)
		l := fresh(t)
		l.Holder.Use(&ports.CertificateInUse{Certificate: server})
		addr, _ := serveListener(t, l, l.FreeAddress, healthy)
		_, err := askListener(l, addr, client, ca.pool())
		is.True(err != nil) // no client certificate verifies
	})
	t.Run("serves nobody without a certificate", func(t *testing.T) {
		is := is.New(t)
		l := fresh(t)
		addr, _ := serveListener(t, l, l.FreeAddress, healthy)
		_, err := askListener(l, addr, client, ca.pool())
		is.True(err != nil) // there is no certificate yet
		l.Holder.Use(inUse(server))
		_, err = askListener(l, addr, client, ca.pool())
		is.NoErr(err)
		l.Holder.Use(nil)
		_, err = askListener(l, addr, client, ca.pool())
		is.True(err != nil) // there is none any more
	})
	t.Run("a switch is for new connections and leaves those that are open", func(t *testing.T) {
		is := is.New(t)
		l := fresh(t)
		l.Holder.Use(inUse(server))
		addr, _ := serveListener(t, l, l.FreeAddress, healthy)
		before, err := l.Connect(addr, client, ca.pool())
		is.NoErr(err)
		defer before.Close()
		_, err = before.Health()
		is.NoErr(err)
		for range 10 {
			next := stranger.issue(t, listenerLeaf{})
			l.Holder.Use(&ports.CertificateInUse{Certificate: next, Roots: stranger.pool()})
			conn, err := l.Connect(addr, stranger.issue(t, listenerLeaf{}), stranger.pool())
			is.NoErr(err)
			_, err = conn.Health()
			is.NoErr(err)
			is.Equal(conn.Served().Raw, next.Certificate[0])
			conn.Close()
			_, err = before.Health()
			is.NoErr(err)
			_, err = askListener(l, addr, client, ca.pool())
			is.True(err != nil) // its certificate is of the CA before
		}
		is.Equal(before.Served().Raw, server.Certificate[0])
	})
}

// serveListener serves until the test's end, or until stop is called, which
// returns what Serve returned. It tries an address that is in use again: a closed
// socket may stay open for a moment longer in a child process that another test
// has forked and that has not executed its program yet.
func serveListener(t *testing.T, l ListenerUnderTest, addr string, health func() ports.Health) (opened string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan struct{})
	var result error
	go func() {
		defer close(ended)
		for deadline := time.Now().Add(soon); ; time.Sleep(time.Millisecond) {
			result = l.Listener.Serve(ctx, addr, health, func(addr string) { ready <- addr })
			if !errors.Is(result, ports.ErrAddressInUse) || time.Now().After(deadline) {
				return
			}
		}
	}()
	stop = func() error {
		cancel()
		select {
		case <-ended:
			return result
		case <-time.After(soon):
			return errors.New("the listener goes on after its context has ended")
		}
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	select {
	case opened = <-ready:
	case <-ended:
		t.Fatalf("serving %s: %v", addr, result)
	}
	return opened, stop
}

// askListener asks for the health on a connection of its own.
func askListener(l ListenerUnderTest, addr string, client tls.Certificate, roots *x509.CertPool) (ports.Health, error) {
	conn, err := l.Connect(addr, client, roots)
	if err != nil {
		return ports.Health{}, err
	}
	defer conn.Close()
	return conn.Health() // with TLS 1.3 it is here that a client learns of its refusal
}

// listenerCA issues the certificates of the suite.
type listenerCA struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	leaf        tls.Certificate // of an intermediate, a leaf with the intermediate's own certificate
}

type listenerLeaf struct{ expired, serverOnly bool }

func newListenerCA(t *testing.T, name string) *listenerCA {
	t.Helper()
	key := newListenerKey(t)
	template := listenerTemplate(t, name)
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	return &listenerCA{certificate: signListener(t, template, template, key, key), key: key}
}

// intermediate is a CA below ca, with a leaf of its own.
func (ca *listenerCA) intermediate(t *testing.T) *listenerCA {
	t.Helper()
	key := newListenerKey(t)
	template := listenerTemplate(t, "an intermediate")
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	below := &listenerCA{certificate: signListener(t, template, ca.certificate, key, ca.key), key: key}
	below.leaf = below.issue(t, listenerLeaf{})
	below.leaf.Certificate = append(below.leaf.Certificate, below.certificate.Raw)
	return below
}

func (ca *listenerCA) issue(t *testing.T, l listenerLeaf) tls.Certificate {
	t.Helper()
	key := newListenerKey(t)
	template := listenerTemplate(t, "localhost")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	if !l.serverOnly {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	if l.expired {
		template.NotAfter = time.Now().Add(-time.Minute)
	}
	leaf := signListener(t, template, ca.certificate, key, ca.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
}

func (ca *listenerCA) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.certificate)
	return pool
}

func listenerTemplate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

func newListenerKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signListener(t *testing.T, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
