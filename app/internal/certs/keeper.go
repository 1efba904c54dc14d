// Package certs knows the certificate files of this machine: how they are
// judged, which certificate is in use, and how a new set replaces them.
package certs

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/muster-agent/muster/app/internal/latest"
	"github.com/muster-agent/muster/app/internal/skew"
	"github.com/muster-agent/muster/app/internal/tracker"
	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/domain/health"
	"github.com/muster-agent/muster/ports"
)

// Keeper judges, uses and replaces the certificate files. It is safe for
// concurrent use. Set the exported fields before the first call.
type Keeper struct {
	Files   ports.CertificateFiles
	Journal ports.IssueJournal // nil without an issuer
	InUse   ports.CertificateHolder
	Issuer  ports.CertificateIssuer // nil where certificates are placed by hand
	// Threshold is how long before its end a certificate is renewed at the
	// latest.
	Threshold time.Duration
	// Servable becomes true once there is a certificate to serve with.
	Servable *latest.Value[bool]
	Tracker  *tracker.Tracker
	Skew     *skew.Clock
	Wall     func() time.Time
	Log      *slog.Logger

	replacing sync.Mutex // one at a time replaces files: what it judged is what it sets aside

	mu     sync.Mutex
	known  cert.Judgement
	logged string // the judgement that was last logged
	// loggedList is what was last logged of a revocation list placed by hand.
	loggedList string
	// inUseUntil is the end of the certificate in use; zero if there is none.
	inUseUntil time.Time
}

// options judge at both instants while a server's clock differs from ours.
func (k *Keeper) options() cert.Options {
	return cert.Options{Threshold: k.Threshold, Managed: k.Issuer != nil, OtherClock: k.Skew.Other()}
}

// Judgement is the newest one.
func (k *Keeper) Judgement() cert.Judgement {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known
}

// AwaitServable returns once there is a certificate to serve with, or ctx is
// done, with ctx's error.
func (k *Keeper) AwaitServable(ctx context.Context) error {
	_, err := k.Servable.Await(ctx, func(servable bool) bool { return servable })
	return err
}

// Look reads and judges the files, shows the result and makes a certificate
// that can be served the one in use. It fails only when ctx is done.
func (k *Keeper) Look(ctx context.Context) (cert.Judgement, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found, err := k.Files.Read(ctx)
	if err != nil {
		return cert.Judgement{}, err
	}
	files := Judged(found)
	j := cert.Judge(files, k.Wall(), k.options())
	k.known = j
	k.use(files, j)
	k.show(found, j)
	if k.Issuer == nil && !found.CRL.Missing() { // else Revocations looks at the list
		k.showList(files)
	}
	if j.Servable() {
		// After show: the first peer that asks is not told of the set before.
		k.Servable.Update(func(already bool) (bool, bool) { return true, !already })
	}
	return j, nil
}

// use tells the listener and the clients which certificate there is.
func (k *Keeper) use(files cert.Files, j cert.Judgement) {
	if !j.Servable() {
		if !cert.Outlives(j.Status, k.inUseUntil, k.Wall()) {
			k.InUse.Use(nil)
			k.inUseUntil = time.Time{}
		}
		return
	}
	pair, err := cert.KeyPair(files.Key, j)
	if err != nil { // a servable set has its key
		k.Log.Error(err.Error(), ports.EventCertsStatus.Attr())
		k.InUse.Use(nil)
		return
	}
	k.InUse.Use(&ports.CertificateInUse{Certificate: pair, Roots: cert.Peers(files, j), Revoked: cert.Revoked(files)})
	k.inUseUntil = j.End
}

// show tells of a judgement, in the log only when it is news.
func (k *Keeper) show(found ports.FoundSet, j cert.Judgement) {
	told := health.Certificate(j, Placed(found), k.Issuer != nil)
	status := told.Status
	k.Tracker.Update(func(st *ports.Status) { st.Certificate = told })
	news := fmt.Sprint(status, j.Serial, j.NotAfter)
	if status == ports.CertNotConfigured || news == k.logged {
		return
	}
	k.logged = news
	level := slog.LevelInfo
	if !j.Servable() {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{ports.EventCertsStatus.Attr(), slog.String("status", string(status))}
	if !j.NotAfter.IsZero() { // there is a certificate
		attrs = append(attrs, dates(j)...)
	}
	k.Log.LogAttrs(context.Background(), level, j.Detail, attrs...)
}

// dates are the attributes of a line about a certificate.
func dates(j cert.Judgement) []slog.Attr {
	return []slog.Attr{slog.Time("not_after", j.NotAfter), slog.Time("renew_at", j.RenewAt), slog.String("serial", j.Serial)}
}

// LogInstalled logs that a certificate from a server is in use.
func (k *Keeper) LogInstalled(e ports.Event, text string, j cert.Judgement) {
	k.Log.LogAttrs(context.Background(), slog.LevelInfo, text, append([]slog.Attr{e.Attr()}, dates(j)...)...)
}

// showList warns, when it is news, of a revocation list that a person placed
// and that revokes nothing, or is out of date.
func (k *Keeper) showList(files cert.Files) {
	news := ""
	switch j, err := cert.JudgeCRL(files, k.Wall(), k.options()); {
	case err != nil:
		news = "nobody is refused because of the revocation list: " + err.Error()
	case j.Expired:
		news = pastItsTime(j)
	}
	if news != k.loggedList && news != "" {
		k.Log.Warn(news, ports.EventCertsStatus.Attr())
	}
	k.loggedList = news
}

func pastItsTime(j cert.CRLJudgement) string {
	return fmt.Sprintf("the revocation list is past its time (%s) and goes on being used until there is another", When(j.NextUpdate))
}

// Placed reports whether any file of a certificate is there.
func Placed(found ports.FoundSet) bool {
	return !found.CA.Missing() || !found.Server.Missing() || !found.Key.Missing()
}

// Judged is a found set as domain judges it.
func Judged(found ports.FoundSet) cert.Files {
	return cert.Files{CA: found.CA, Server: found.Server, Key: found.Key, CRL: found.CRL}
}

// Leaf is this machine's certificate as it was last judged; nil if there is
// none.
func (k *Keeper) Leaf() *x509.Certificate { return k.Judgement().Leaf }

// When is an instant as people read it.
func When(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
