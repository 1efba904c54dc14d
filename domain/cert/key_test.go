package cert_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

// What KeyPair gives serves a client that knows only ca.pem.
func TestKeyPairServes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ folder, server, key string }{
		{"openssl", "ec", "ec"},
		{"openssl", "rsa", "rsa"},
		{"openssl", "ed25519", "ed25519"},
		{"openssl", "chain-reversed", "below"},
		{"step", "ec", "ec"},
		{"step", "rsa", "rsa"},
		{"step", "ed25519", "ed25519"},
	} {
		t.Run(c.folder+" "+c.server, func(t *testing.T) {
			t.Parallel()
			f := set(t, c.folder, "root", c.server, c.key)
			pair, err := cert.KeyPair(f.Key, cert.Judge(f, march, cert.Options{}))
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(f.CA.PEM)
			clock := func() time.Time { return march }
			here, there := net.Pipe()
			defer here.Close()
			defer there.Close()
			server := tls.Server(here, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13, Time: clock, SessionTicketsDisabled: true})
			client := tls.Client(there, &tls.Config{RootCAs: roots, ServerName: "web-3.example.org", MinVersion: tls.VersionTLS13, Time: clock})
			served := make(chan error, 1)
			go func() { served <- server.Handshake() }()
			if err := client.Handshake(); err != nil {
				t.Fatal(err)
			}
			if err := <-served; err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestKeyPairIsOnlyForWhatIsSound(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	f := set(t, "openssl", "root", "ec", "ec")
	sound := cert.Judge(f, march, cert.Options{})
	_, err := cert.KeyPair(keyFile(t, "openssl/rsa.key"), sound)
	is.True(err != nil && strings.Contains(err.Error(), "was replaced after it was judged"))
	_, err = cert.KeyPair(keyFile(t, "openssl/none.key"), sound)
	is.True(err != nil && strings.Contains(err.Error(), "is missing"))
	f.CA = file(t, "openssl/impostor.pem")
	_, err = cert.KeyPair(f.Key, cert.Judge(f, march, cert.Options{}))
	is.True(err != nil && strings.Contains(err.Error(), "untrusted"))
}

// However a key is damaged, what is said of it holds no part of it.
func TestNoTextHoldsAKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ec", "rsa", "ed25519", "ec-pkcs8", "rsa-pkcs8", "encrypted-pkcs8", "encrypted-sec1", "x25519", "truncated"} {
		whole := keyFile(t, "openssl/"+name+".key").PEM.Reveal()
		body := strings.Join(strings.Split(whole, "\n")[1:], "")
		for _, text := range []string{
			whole, whole[:len(whole)/2], whole[len(whole)/2:], body,
			strings.Replace(whole, "A", "B", 1), strings.ReplaceAll(whole, "\n", ""), strings.Replace(whole, "KEY-----\n", "KEY-----\nName: ", 1),
			strings.ReplaceAll(whole, "PRIVATE KEY", "CERTIFICATE"), strings.ReplaceAll(whole, "PRIVATE KEY", "X509 CRL"),
		} {
			f := set(t, "openssl", "root", "ec", "ec")
			f.Key.PEM = ports.NewSecret(text)
			j := cert.Judge(f, march, cert.Options{})
			said := j.Detail
			// Someone puts the key where another file belongs.
			f.Server.PEM, f.CRL = []byte(text), ports.FoundFile{Path: "crl.pem", PEM: []byte(text)}
			said += cert.Judge(f, march, cert.Options{}).Detail
			if _, err := cert.JudgeCRL(f, march, cert.Options{}); err != nil {
				said += err.Error()
			}
			if _, err := cert.KeyPair(f.Key, j); err != nil {
				said += err.Error()
			}
			for i := 0; i+8 <= len(body); i++ {
				if part := body[i : i+8]; !strings.Contains("-----BEGIN PRIVATE KEY----- -----END PRIVATE KEY-----", part) && strings.Contains(said, part) {
					t.Fatalf("%s: a part of the key is in %q", name, said)
				}
			}
		}
	}
}
