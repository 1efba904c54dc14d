package envconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

const (
	enrollKey = "cek_Zq7Wm2Xk9Rt4Yp6Ls8Dv"
	uid       = "muid_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// write makes a file that only its owner may write.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	is.New(t).NoErr(os.WriteFile(path, []byte(content), 0o600))
	return path
}

// source is a configuration from an environment ("NAME=value" each) and a
// file's content. The file is always named, so that no test sees the
// machine's own.
func source(t *testing.T, file string, environ ...string) Source {
	t.Helper()
	return Source{Environ: environ, File: write(t, "agent.env", file), Delays: delays()}
}

// delays are the defaults of these tests.
func delays() ports.DelayPolicy {
	return ports.DelayPolicy{
		Transient: ports.Delays{Min: 5 * time.Second, Max: 5 * time.Minute},
		Pending:   ports.Delays{Min: time.Minute, Max: 90 * time.Minute},
		Operator:  ports.Delays{Min: time.Hour, Max: 6 * time.Hour},
	}
}

func load(t *testing.T, src Source) *Config {
	t.Helper()
	c, err := Load(src)
	is.New(t).NoErr(err)
	return c
}

// problems are those of a configuration that has to be refused.
func problems(t *testing.T, src Source) []string {
	t.Helper()
	c, err := Load(src)
	var e *Error
	if !errors.As(err, &e) || len(e.Problems) == 0 || c != nil {
		t.Fatalf("got %v, %v; want a nil Config and an *Error", c, err)
	}
	for _, p := range e.Problems {
		if !strings.Contains(e.Error(), p) {
			t.Errorf("%q is missing in %q", p, e.Error())
		}
	}
	return e.Problems
}

// expect asserts that there are as many problems as wanted ones, each holding
// all the words of one, separated by "|".
func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %d problems, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for _, words := range want {
		if !slices.ContainsFunc(got, func(p string) bool {
			for word := range strings.SplitSeq(words, "|") {
				if !strings.Contains(p, word) {
					return false
				}
			}
			return true
		}) {
			t.Errorf("no problem with %q in:\n%s", words, strings.Join(got, "\n"))
		}
	}
}

func value(t *testing.T, c *Config, name string) Value {
	t.Helper()
	for _, v := range c.Values() {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("there is no value %s", name)
	return Value{}
}

// caFile is a file with a certificate.
func caFile(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	is.New(t).NoErr(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	is.New(t).NoErr(err)
	return write(t, "ca.pem", "text before\n"+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// leaked is a part of 8 characters of a secret that text holds, or "".
func leaked(text, secret string) string {
	for i := 0; i+8 <= len(secret); i++ {
		if part := secret[i : i+8]; strings.Contains(text, part) {
			return part
		}
	}
	return ""
}
