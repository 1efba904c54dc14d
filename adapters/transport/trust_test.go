package transport

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestTrust(t *testing.T) {
	t.Parallel()
	root := issue(t, "root", identity{}, authority)
	middle := issue(t, "middle", root, authority)
	leaf := issue(t, "leaf", middle, forLoopback)
	oldLeaf := issue(t, "leaf", middle, both(forLoopback, expired))
	elsewhere := issue(t, "leaf", middle, func(c *x509.Certificate) { c.DNSNames = []string{"other.example"} })
	alone := issue(t, "alone", identity{}, forLoopback)
	aloneElsewhere := issue(t, "alone", identity{}, func(c *x509.Certificate) { c.DNSNames = []string{"other.example"} })
	aloneOld := issue(t, "alone", identity{}, both(forLoopback, expired))
	stranger := issue(t, "root", identity{}, authority)
	oldRoot := certify(t, "root", root.key, identity{}, both(authority, expired))
	strangersLeaf := issue(t, "leaf", stranger, forLoopback)
	notCA := issue(t, "leaf", root, forLoopback)
	underLeaf := issue(t, "below", notCA, forLoopback)

	const (
		ok        = ""
		unknown   = "unknown authority"
		notPinned = "none of the certificates"
		clock     = "probably a clock problem"
		wrongName = "not for 127.0.0.1"
		badSelf   = "its signature is not its own"
	)
	tests := []struct {
		name  string
		chain []identity
		roots []identity // none: the system's
		pins  []identity
		want  string
	}{
		{"system roots do not know a private CA", []identity{leaf, middle}, nil, nil, unknown},
		{"CA file", []identity{leaf, middle}, []identity{root}, nil, ok},
		{"CA file of another CA of the same name", []identity{leaf, middle}, []identity{stranger}, nil, unknown},
		{"CA file, wrong name", []identity{elsewhere, middle}, []identity{root}, nil, wrongName},
		{"CA file, expired", []identity{oldLeaf, middle}, []identity{root}, nil, clock},

		{"pin of the leaf", []identity{leaf, middle}, nil, []identity{leaf}, ok},
		{"pin of the leaf, presented alone", []identity{leaf}, nil, []identity{leaf}, ok},
		{"pin of a presented intermediate", []identity{leaf, middle}, nil, []identity{middle}, ok},
		{"pin of a presented root", []identity{leaf, middle, root}, nil, []identity{root}, ok},
		{"pin of a root that is not presented", []identity{leaf, middle}, nil, []identity{root}, notPinned},
		{"one of two pins", []identity{leaf, middle}, nil, []identity{stranger, middle}, ok},
		{"another's pin", []identity{leaf, middle, root}, nil, []identity{stranger}, notPinned},
		{"pin of the leaf, wrong name", []identity{elsewhere, middle}, nil, []identity{elsewhere}, wrongName},
		{"pin of the CA, wrong name", []identity{elsewhere, middle}, nil, []identity{middle}, wrongName},
		{"pin of the leaf, expired", []identity{oldLeaf, middle}, nil, []identity{oldLeaf}, clock},
		{"pin of the CA, leaf expired", []identity{oldLeaf, middle}, nil, []identity{middle}, clock},
		{"pin of an expired CA", []identity{leaf, middle, oldRoot}, nil, []identity{root}, clock},
		{"expired and valid certificates of the pinned key", []identity{leaf, middle, oldRoot, root}, nil, []identity{root}, ok},
		{"the pinned certificate is presented beside a chain that does not lead to it", []identity{strangersLeaf, middle}, nil, []identity{middle}, unknown},
		{"the chain leads through a certificate that is no CA", []identity{underLeaf, notCA}, nil, []identity{notCA}, unknown},

		{"pin of a self-issued leaf", []identity{alone}, nil, []identity{alone}, ok},
		{"pin of a self-issued leaf, wrong name", []identity{aloneElsewhere}, nil, []identity{aloneElsewhere}, wrongName},
		{"pin of a self-issued leaf, expired", []identity{aloneOld}, nil, []identity{aloneOld}, clock},
		{"pin of a self-issued leaf with a bad signature", []identity{forge(t, alone)}, nil, []identity{alone}, badSelf},
		{"pin of a self-issued CA with a bad signature", []identity{leaf, middle, forge(t, root)}, nil, []identity{root}, badSelf},
		{"forged and true certificates of the pinned key", []identity{leaf, middle, forge(t, root), root}, nil, []identity{root}, ok},

		{"CA file and pin, both hold", []identity{leaf, middle}, []identity{root}, []identity{leaf}, ok},
		{"CA file and pin, only the pin holds", []identity{leaf, middle}, []identity{stranger}, []identity{leaf}, unknown},
		{"CA file and pin, only the CA holds", []identity{leaf, middle}, []identity{root}, []identity{stranger}, notPinned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			var o Options
			if tt.roots != nil {
				o.TrustCAFile = caFile(t, tt.roots...)
			}
			for _, id := range tt.pins {
				o.TrustSPKISHA256 = append(o.TrustSPKISHA256, id.pin())
			}
			err := get(t, o, serve(t, presenting(tt.chain...)).URL)
			if tt.want == ok {
				is.NoErr(err)
				return
			}
			is.True(err != nil) // a request to an untrusted server
			if text := Describe(err); !strings.Contains(text, tt.want) {
				t.Errorf("got %q from %v, want %q in it", text, err, tt.want)
			}
		})
	}
}

// A name, where 127.0.0.1 above is an address: crypto/tls tells the check of a
// connection only about the former.
func TestTrustByName(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	leaf := issue(t, "leaf", identity{}, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	server := serve(t, presenting(leaf))
	o := Options{TrustSPKISHA256: [][32]byte{leaf.pin()}}
	is.NoErr(get(t, o, server.URL))
	err := get(t, o, strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	is.True(err != nil) // another name
	is.Equal(Describe(err), "the server's certificate is for 127.0.0.1, not for localhost")
}

func TestTrustOfResumedConnections(t *testing.T) {
	t.Parallel()
	leaf := issue(t, "leaf", identity{}, forLoopback)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			is := is.New(t)
			server := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{presenting(leaf)}, MaxVersion: version},
				func(http.ResponseWriter, *http.Request) {})
			sessions := tls.NewLRUClientSessionCache(1)
			connect := func(pin [32]byte, host string) (resumed bool, err error) {
				c := trust{pins: [][32]byte{pin}}.serverConfig(host)
				c.ClientSessionCache, c.ServerName = sessions, "same session"
				conn, err := (&tls.Dialer{Config: c}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
				if err != nil {
					return false, err
				}
				defer func() { is.NoErr(conn.Close()) }()
				_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
				is.NoErr(err)
				_, err = conn.Read(make([]byte, 100)) // the ticket of TLS 1.3 comes with the first answer
				return conn.(*tls.Conn).ConnectionState().DidResume, err
			}
			resumed, err := connect(leaf.pin(), "127.0.0.1")
			is.NoErr(err)
			is.True(!resumed) // the first has no session yet
			resumed, err = connect(leaf.pin(), "127.0.0.1")
			is.NoErr(err)
			is.True(resumed) // or the rest shows nothing
			_, err = connect([32]byte{1}, "127.0.0.1")
			is.True(err != nil) // a resumed connection without the pinned key
			_, err = connect(leaf.pin(), "other.example")
			is.True(err != nil) // a resumed connection under another name
		})
	}
}

func TestTLSVersion(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	leaf := issue(t, "leaf", identity{}, forLoopback)
	server := serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{presenting(leaf)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	}, func(http.ResponseWriter, *http.Request) {})
	for _, o := range []Options{{TrustCAFile: caFile(t, leaf)}, {TrustSPKISHA256: [][32]byte{leaf.pin()}}} {
		err := get(t, o, server.URL)
		is.True(err != nil) // TLS 1.1
		is.True(strings.HasPrefix(Describe(err), "the server ended the TLS handshake"))
	}
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	leaf := issue(t, "leaf", identity{}, forLoopback)
	client := issue(t, "client", identity{}, nil)
	var seen string
	server := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{presenting(leaf)}, ClientAuth: tls.RequireAnyClientCert},
		func(_ http.ResponseWriter, r *http.Request) { seen = r.TLS.PeerCertificates[0].Subject.CommonName })
	own := presenting(client)
	is.NoErr(get(t, Options{
		TrustSPKISHA256:   [][32]byte{leaf.pin()},
		ClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil },
	}, server.URL))
	is.Equal(seen, "client")
}

func TestOptionsInError(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	_, err := New(Options{TrustCAFile: "/does/not/exist.pem"})
	is.True(strings.Contains(err.Error(), "MUSTER_TRUST_CA_FILE"))
	_, err = New(Options{TrustCAFile: "trust_test.go"})
	is.True(strings.Contains(err.Error(), "holds no certificate"))
	for _, file := range []string{"/does/not/exist.pem", "trust_test.go"} {
		_, err = New(Options{TrustCAFile: file, Variables: Variables{CAFile: "MUSTER_MANAGER_TRUST_CA_FILE"}})
		is.True(strings.Contains(err.Error(), "named by MUSTER_MANAGER_TRUST_CA_FILE"))
	}
}

func TestDescribeNamesTheVariables(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	other := Variables{CAFile: "OTHER_CA", Pins: "OTHER_PINS"}
	for _, err := range []error{x509.UnknownAuthorityError{}, x509.SystemRootsError{}, errNotPinned} {
		text := other.Describe(err)
		is.True(strings.Contains(text, "OTHER_"))
		is.True(!strings.Contains(text, "MUSTER_TRUST"))
		is.Equal(strings.NewReplacer("OTHER_CA", "MUSTER_TRUST_CA_FILE", "OTHER_PINS", "MUSTER_TRUST_SPKI_SHA256").Replace(text), Describe(err))
	}
}
