package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

// certificates knows the certificate files of this machine: what is to be
// thought of them, and how a new set replaces them. It is safe for concurrent
// use.
type certificates struct {
	w     *World
	board *board
	clock *clock

	served chan struct{} // closed once there is a certificate to serve with

	replacing sync.Mutex // one at a time replaces files: what it judged is what it sets aside

	mu     sync.Mutex
	known  cert.Judgement
	logged string // the judgement that was last logged
	// loggedList is what was last logged of a revocation list placed by hand.
	loggedList string
	// inUseUntil is the end of the certificate in use; zero if there is none.
	inUseUntil time.Time
	once       sync.Once
}

// options judge at both instants while a server's clock differs from ours.
func (c *certificates) options() cert.Options {
	return cert.Options{Threshold: c.w.Settings.RenewalThreshold, OtherClock: c.clock.other()}
}

// look reads and judges the files, shows the result and makes a certificate
// that can be served the one in use.
func (c *certificates) look(ctx context.Context) (cert.Judgement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, err := c.w.Certificates.Read(ctx)
	if err != nil {
		return cert.Judgement{}, err
	}
	files := judged(found)
	j := cert.Judge(files, c.w.Wall(), c.options())
	c.known = j
	c.use(files, j)
	c.show(found, j)
	if c.w.Manager == nil && !found.CRL.Missing() { // else keepRevocations looks at the list
		c.showRevocations(files)
	}
	if j.Servable() {
		// After show: the first peer that asks is not told of the set before.
		c.once.Do(func() { close(c.served) })
	}
	return j, nil
}

// use tells the listener and the clients which certificate there is.
func (c *certificates) use(files cert.Files, j cert.Judgement) {
	if !j.Servable() {
		if !c.outlives(j.Status) {
			c.w.InUse.Use(nil)
			c.inUseUntil = time.Time{}
		}
		return
	}
	pair, err := cert.KeyPair(files.Key, j)
	if err != nil { // a servable set has its key
		c.w.Log.Error(err.Error(), event(eventCertsStatus))
		c.w.InUse.Use(nil)
		return
	}
	c.w.InUse.Use(&ports.CertificateInUse{Certificate: pair, Roots: peers(files, j), Revoked: cert.Revoked(files)})
	c.inUseUntil = j.End
}

// peers are the CAs that a peer's certificate may come from: those of ca.pem,
// and the intermediates through which this host's own leads to them, which a
// peer need not send.
func peers(files cert.Files, j cert.Judgement) *x509.CertPool {
	pool := cert.Roots(files)
	for _, der := range j.Chain[1:] {
		if c, err := x509.ParseCertificate(der); err == nil { // it was verified a moment ago
			pool.AddCert(c)
		}
	}
	return pool
}

// outlives reports whether the certificate in use goes on being used although
// the files are not sound any more: what happened to a file does not make it
// worse, and it serves until there is another.
func (c *certificates) outlives(status ports.CertificateStatus) bool {
	switch status {
	case ports.CertMissing, ports.CertCorrupt, ports.CertKeyMismatch:
		return c.w.Wall().Before(c.inUseUntil)
	case ports.CertValid, ports.CertExpiringSoon, ports.CertNotYetValid, ports.CertExpired, ports.CertUntrusted, ports.CertRevoked, ports.CertNotConfigured:
		return false
	}
	return false
}

// show puts a judgement on the board, and into the log when it is news.
func (c *certificates) show(found ports.FoundSet, j cert.Judgement) {
	told := report(j, c.w.Manager == nil && nothingThere(found))
	status := told.Status
	c.board.update(func(st *ports.Status) { st.Certificate = told })
	news := fmt.Sprint(status, j.Serial, j.NotAfter)
	if status == ports.CertNotConfigured || news == c.logged {
		return
	}
	c.logged = news
	level := slog.LevelInfo
	if !j.Servable() {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{event(eventCertsStatus), slog.String("status", string(status))}
	if !j.NotAfter.IsZero() { // there is a certificate
		attrs = append(attrs, slog.Time("not_after", j.NotAfter), slog.Time("renew_at", j.RenewAt), slog.String("serial", j.Serial))
	}
	c.w.Log.LogAttrs(context.Background(), level, j.Detail, attrs...)
}

// showRevocations warns, when it is news, of a revocation list that a person
// placed and that revokes nothing, or is out of date.
func (c *certificates) showRevocations(files cert.Files) {
	news := ""
	switch j, err := cert.JudgeCRL(files, c.w.Wall(), c.options()); {
	case err != nil:
		news = "nobody is refused because of the revocation list: " + err.Error()
	case j.Expired:
		news = fmt.Sprintf("the revocation list is past its time (%s) and goes on being used until there is another", when(j.NextUpdate))
	}
	if news != c.loggedList && news != "" {
		c.w.Log.Warn(news, event(eventCertsStatus))
	}
	c.loggedList = news
}

// report is a judgement as status shows it.
func report(j cert.Judgement, notConfigured bool) ports.CertificateReport {
	if notConfigured {
		return ports.CertificateReport{Status: ports.CertNotConfigured}
	}
	r := j.Report()
	if r.Status == ports.CertValid {
		r.Detail = "" // there is nothing to add
	}
	return r
}

// nothingThere reports that none of the files exists.
func nothingThere(found ports.FoundSet) bool {
	return found.CA.Missing() && found.Server.Missing() && found.Key.Missing()
}

// judged is a found set as domain judges it.
func judged(found ports.FoundSet) cert.Files {
	return cert.Files{CA: found.CA, Server: found.Server, Key: found.Key, CRL: found.CRL}
}

// errBundleRefused is a received bundle that does not validate; it was set
// aside, and the present certificate stays.
var errBundleRefused = errors.New("the certificate that was received cannot be used")

// install puts a received bundle in the place of the present files. Whatever
// the moment of a crash, calling it again with what the journal holds ends the
// same way. An error of kind errBundleRefused is final for this bundle; others
// are the store's and pass with time.
func (c *certificates) install(ctx context.Context, received ports.ReceivedBundle, bundle ports.Bundle) error {
	ctx = context.WithoutCancel(ctx) // the manager has forgotten it: there is no second one
	c.replacing.Lock()
	defer c.replacing.Unlock()
	set, err := c.assemble(ctx, bundle)
	if err != nil && !absent(err) {
		return err // a key that only cannot be read now
	}
	if err == nil {
		err = c.judgeSet(&set)
	}
	if err != nil {
		return c.refuse(ctx, err)
	}
	if err := c.makeWay(ctx, set); err != nil {
		return err
	}
	if !received.PreviousKept {
		if err := c.w.Certificates.KeepPrevious(ctx); err != nil {
			return err
		}
		received.PreviousKept = true
		if err := c.w.Journal.SaveBundle(ctx, received); err != nil {
			return err
		}
	}
	if err := c.w.Certificates.Install(ctx, set); err != nil {
		return err
	}
	if err := c.prove(ctx); err != nil {
		if restoreErr := c.w.Certificates.RestorePrevious(ctx); restoreErr != nil {
			return errors.Join(err, restoreErr) // the journal stays: this is done again
		}
		refused := c.refuse(ctx, err)
		return errors.Join(refused, c.w.Certificates.DropPrevious(ctx))
	}
	// In this order, and not past an error: what a crash leaves is either
	// enough to install again, or not needed any more.
	for _, done := range []func(context.Context) error{
		func(ctx context.Context) error {
			return c.w.Journal.SavePending(ctx, ports.PendingEnrollment{ManagerURL: received.ManagerURL})
		},
		c.w.Journal.EraseBundle, c.w.Journal.EraseKey, c.w.Certificates.DropPrevious,
	} {
		if err := done(ctx); err != nil {
			return err
		}
	}
	return nil
}

// makeWay sets aside the damaged ones of the files that a set is about to
// replace. They are moved before the present files are kept as the previous
// ones, so a set that does not prove itself does not bring them back, only to
// be set aside once more with the next; and again after a crash, which may
// have damaged others.
func (c *certificates) makeWay(ctx context.Context, set ports.CertificateSet) error {
	found, err := c.w.Certificates.Read(ctx)
	if err != nil {
		return err
	}
	files := judged(found)
	if len(set.CRL) == 0 {
		files.CRL = ports.FoundFile{} // it stays
	}
	return c.setAside(ctx, files)
}

// setAside sets aside those of the files that are damaged.
func (c *certificates) setAside(ctx context.Context, files cert.Files) error {
	var damaged []ports.DamagedFile
	for _, p := range cert.Damaged(files) {
		damaged = append(damaged, ports.DamagedFile{Path: p.Path, Reason: p.Text})
	}
	if damaged == nil {
		return nil
	}
	return c.w.Certificates.SetAside(ctx, damaged)
}

// assemble makes the files of a bundle.
func (c *certificates) assemble(ctx context.Context, b ports.Bundle) (ports.CertificateSet, error) {
	key := b.Key
	if key.Empty() {
		var err error
		if key, err = c.w.Journal.LoadKey(ctx); err != nil {
			return ports.CertificateSet{}, fmt.Errorf("the manager signed this host's own key, which is not there any more: %w", err)
		}
	}
	server := append(append([]byte{}, b.Cert...), '\n')
	return ports.CertificateSet{CA: b.CA, Server: append(server, b.Chain...), Key: key, CRL: b.CRL}, nil
}

// judgeSet judges a set before it replaces anything. It puts what server.pem
// is to hold in order (the leaf, then intermediates) and drops a revocation
// list that is not sound: the last good one stays. A certificate that becomes
// valid within the hour is accepted: a clock is wrong, not it.
func (c *certificates) judgeSet(set *ports.CertificateSet) error {
	now, options := c.w.Wall(), c.options()
	files := cert.Files{
		CA: ports.FoundFile{Path: "ca_crt", PEM: set.CA}, Server: ports.FoundFile{Path: "server_crt", PEM: set.Server},
		Key: ports.FoundKey{Path: "server_key", PEM: set.Key}, CRL: ports.FoundFile{Path: "crl_pem", Err: ports.FileMissing{}},
	}
	if len(set.CRL) > 0 {
		files.CRL = ports.FoundFile{Path: "crl_pem", PEM: set.CRL}
		if _, err := cert.JudgeCRL(files, now, options); err != nil {
			c.w.Log.Warn("the revocation list that came with the certificate is not used: "+err.Error(), event(eventCertsStatus))
			set.CRL, files.CRL = nil, ports.FoundFile{Path: "crl_pem", Err: ports.FileMissing{}}
		}
	}
	j := cert.Judge(files, now, options)
	if !j.Servable() && !j.ClockProblem {
		return fmt.Errorf("it is %s: %s", j.Status, j.Detail)
	}
	set.Server = j.ServerPEM()
	return nil
}

// prove reads what was installed back and makes a handshake with it.
func (c *certificates) prove(ctx context.Context) error {
	found, err := c.w.Certificates.Read(ctx)
	if err != nil {
		return err
	}
	files := judged(found)
	j := cert.Judge(files, c.w.Wall(), c.options())
	if j.ClockProblem {
		return nil // a handshake within its dates cannot be made yet
	}
	pair, err := cert.KeyPair(files.Key, j)
	if err != nil {
		return err
	}
	return handshake(pair, cert.Roots(files), j.NotBefore.Add(j.NotAfter.Sub(j.NotBefore)/2))
}

// refuse sets the received bundle aside.
func (c *certificates) refuse(ctx context.Context, why error) error {
	where, err := c.w.Journal.RejectBundle(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w; it could not be put aside (%w)", errBundleRefused, why, err)
	}
	return fmt.Errorf("%w: %w; it is kept in %s", errBundleRefused, why, where)
}

// judgement is the newest one.
func (c *certificates) judgement() cert.Judgement {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// leafDigest stands for a certificate in the retry record.
func leafDigest(leaf *x509.Certificate) string {
	if leaf == nil {
		return ""
	}
	return digest(string(leaf.Raw))
}
