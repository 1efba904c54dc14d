package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

func TestDamagedCertificateFilesAreKeptBesideWhatReplacesThem(t *testing.T) {
	for name, faults := range map[string]memory.Faults{
		"at once":                      {},
		"once they can be set aside":   {SetDamagedAside: ports.ErrNotWritten},
		"once the others can be kept":  {KeepPrevious: ports.ErrNotWritten},
		"stopped before the install":   {Install: ports.ErrNotWritten},
		"stopped in the install":       {InstallMixture: ports.ErrNotWritten},
		"stopped after the install":    {SavePending: ports.ErrNotWritten},
		"stopped in the tidying":       {EraseBundle: ports.ErrNotWritten},
		"stopped before the last step": {DropPrevious: ports.ErrNotWritten},
	} {
		t.Run(name, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
				c.start().stop()
				held := c.spoil()
				r := c.start()
				pass(time.Minute)
				c.expectCertificate(r, ports.CertCorrupt, ports.IssuerStateConflict)
				c.keeps(nil) // nothing is there yet to replace them
				c.approve()
				c.disk.Inject(faults)
				pass(7 * time.Hour)
				r.stop() // as good as a crash: memory is lost, and what is stored stays
				c.disk.Inject(memory.Faults{})
				r = c.start()
				pass(time.Hour)
				r.expect(ports.StateServing)
				pass(25 * time.Hour) // a revocation list too
				c.keeps(held)
				is.True(!c.disk.PreviousKept())
			})
		})
	}
}

func TestADamagedFileIsNotLostWithASetThatDoesNotProveItself(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.start().stop()
		broken := true
		c.change(func(w *app.Deps) { w.Certificates = provedWrong{w.Certificates, &broken} })
		held := map[string]ports.Secret{}
		var before ports.FoundSet
		c.disk.AlterCertificates(func(f *ports.FoundSet) {
			f.Key.PEM = ports.NewSecret("PRECIOUS")
			held[f.Key.Path] = f.Key.PEM
			before = *f
		})
		r := c.start()
		for range 5 { // more than the copies that are kept
			pass(time.Minute)
			c.approve()
			pass(7 * time.Hour)
			c.keeps(held)
			found, err := memory.OpenCertificates(c.disk).Read(t.Context())
			is.NoErr(err)
			is.True(found.Key.Missing())
			is.Equal(found.Server, before.Server) // the others are back
			is.Equal(found.CA, before.CA)
		}
		is.True(c.logged("enroll.rejected") >= 5)
		broken = false
		c.heals(r)
		c.keeps(held)
	})
}

func TestOnlyWhatIsDamagedIsSetAside(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	is.New(t).NoErr(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	is.New(t).NoErr(err)
	other := ports.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	for name, alter := range map[string]func(*ports.FoundSet){
		"a file may not be read": func(f *ports.FoundSet) {
			f.Key = ports.FoundKey{Err: ports.FileUnreadable{Reason: "permission denied"}}
		},
		"a file is gone": func(f *ports.FoundSet) { f.Server = ports.FoundFile{Err: ports.FileMissing{}} },
		"a directory": func(f *ports.FoundSet) { // which installing sets aside by itself
			f.CA = ports.FoundFile{Err: ports.FileDirectory{}}
		},
		"the key is another's": func(f *ports.FoundSet) { f.Key.PEM = other },
	} {
		t.Run(name, func(t *testing.T) {
			liveAtManager(t, func(t *testing.T, _ *is.I, c *certLife) {
				c.start().stop()
				c.disk.AlterCertificates(alter)
				r := c.start()
				pass(time.Minute)
				c.heals(r)
				c.keeps(nil)
			})
		})
	}
	t.Run("it is renewed, or has expired", func(t *testing.T) {
		liveAtManager(t, func(t *testing.T, _ *is.I, c *certLife) {
			c.manager.Lifetime = 9 * 24 * time.Hour // the files are looked at every hour of it
			r := c.start()
			pass(20 * 24 * time.Hour)
			r.stop()
			pass(20 * 24 * time.Hour)
			r = c.start()
			pass(time.Minute)
			c.heals(r)
			c.keeps(nil)
		})
	})
}

func TestADamagedRevocationListIsKeptBesideTheNextOne(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		var well atomic.Bool
		c.manager.OnCRL = func(_ context.Context, serve func() ports.Answer[ports.RevocationOutcome]) ports.Answer[ports.RevocationOutcome] {
			if well.Load() {
				return serve()
			}
			return ports.Answer[ports.RevocationOutcome]{Outcome: ports.RevocationList{PEM: []byte("no list")}}
		}
		c.manager.OnRenew = func(_ context.Context, _ []byte, serve func() ports.Answer[ports.RenewOutcome]) ports.Answer[ports.RenewOutcome] {
			answer := serve()
			if received, ok := answer.Outcome.(ports.IssueReceived); ok {
				issued := c.manager.Client(nil).Interpret(received.Received).(ports.Issued)
				issued.Bundle.CRL = nil
				received.Received = memory.Encode(issued)
				received.Received.Renewal = true
				answer.Outcome = received
			}
			return answer
		}
		r := c.start()
		r.expect(ports.StateServing)
		held := map[string]ports.Secret{}
		c.disk.AlterCertificates(func(f *ports.FoundSet) {
			f.CRL = ports.FoundFile{Path: f.CRL.Path, PEM: []byte("garbage")}
			held[f.CRL.Path] = ports.NewSecret("garbage")
		})
		pass(70 * 24 * time.Hour)
		is.Equal(c.logged("certs.renewed"), 1)
		c.keeps(nil) // there was none to replace it
		well.Store(true)
		pass(26 * time.Hour)
		c.keeps(held)
		found, err := memory.OpenCertificates(c.disk).Read(t.Context())
		is.NoErr(err)
		is.True(len(found.CRL.PEM) > len("garbage"))
		is.Equal(c.manager.Count(memory.Register), 1)
	})
}
