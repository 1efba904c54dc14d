package fakeserver

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

const (
	defaultCertLifetime = time.Hour
	defaultCRLLifetime  = 24 * time.Hour
)

var (
	machineIDPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)
	// A name that fits a certificate and a URL. Underscores are not for host
	// names (RFC 952), yet Windows allows them.
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$`)
)

// Approval says when a registration is approved: at once (its zero value), by
// an operator, or by itself after some polls.
type Approval struct {
	// Manual leaves it to Approve and Deny.
	Manual bool
	// After is how many polls are answered with pending before the one that
	// is answered with approved. An operator may be quicker.
	After int
}

// UnmarshalText reads "auto", "manual" or "after=N".
func (a *Approval) UnmarshalText(text []byte) error {
	switch s := string(text); s {
	case "auto":
		*a = Approval{}
	case "manual":
		*a = Approval{Manual: true}
	default:
		number, ok := strings.CutPrefix(s, "after=")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 1 {
			return fmt.Errorf("approval %q is not auto, manual or after=N with N of 1 or more", s)
		}
		*a = Approval{After: n}
	}
	return nil
}

// MarshalText is the reverse of UnmarshalText.
func (a Approval) MarshalText() ([]byte, error) {
	switch {
	case a.Manual:
		return []byte("manual"), nil
	case a.After > 0:
		return fmt.Appendf(nil, "after=%d", a.After), nil
	default:
		return []byte("auto"), nil
	}
}

// EnrollmentState is how a registration at the manager stands.
type EnrollmentState string

// The states of a registration.
const (
	EnrollmentPending    EnrollmentState = "pending"
	EnrollmentApproved   EnrollmentState = "approved"   // the bundle was not fetched yet
	EnrollmentEnrolled   EnrollmentState = "enrolled"   // the bundle was fetched; the token is unknown
	EnrollmentDenied     EnrollmentState = "denied"     // for good; the host may register again
	EnrollmentSuperseded EnrollmentState = "superseded" // the host registered again
)

// registration is the body of POST /api/v1/enroll.
type registration struct {
	machineID string
	fqdn      string
	hostname  string
	ip        netip.Addr
	os        OSDetails
	csr       *x509.CertificateRequest // nil for none
}

func parseRegistration(o *object) (registration, error) {
	q := registration{
		machineID: o.text("machine_id"),
		fqdn:      o.text("fqdn"),
		hostname:  o.text("hostname"),
	}
	address := o.text("ip_address")
	details := o.inner("os_details")
	q.os = OSDetails{
		Distro:   details.text("distro"),
		Name:     details.text("name"),
		Version:  details.text("version"),
		Codename: details.text("codename"),
		IDLike:   details.text("id_like"),
		Kernel:   details.text("kernel"),
	}
	if err := details.end(); err != nil {
		return q, err
	}
	if o.has("csr_pem") {
		q.csr = takeCSR(o)
	}
	o.require(machineIDPattern.MatchString(q.machineID), "machine_id", "is not 32 hex digits in lower case")
	o.require(hostPattern.MatchString(q.fqdn), "fqdn", "is not a host name")
	o.require(hostPattern.MatchString(q.hostname), "hostname", "is not a host name")
	var err error
	q.ip, err = netip.ParseAddr(address)
	o.require(err == nil && q.ip.Zone() == "" && !q.ip.IsUnspecified(), "ip_address", "is not the IP address of a host")
	return q, o.end()
}

// takeCSR reads csr_pem: one PEM block, signed by its own key, of a kind and
// size of key that a CA would certify.
func takeCSR(o *object) *x509.CertificateRequest {
	const name = "csr_pem"
	block, rest := pem.Decode([]byte(o.text(name)))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || strings.TrimSpace(string(rest)) != "" {
		o.fail(name, "is not one PEM block CERTIFICATE REQUEST")
		return nil
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		o.fail(name, "cannot be parsed")
		return nil
	}
	o.require(csr.CheckSignature() == nil, name, "is not signed by its own key")
	switch key := csr.PublicKey.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
	case *rsa.PublicKey:
		o.require(key.Size()*8 >= 2048, name, "has an RSA key of less than 2048 bits")
	default:
		o.fail(name, "has a key that is neither ECDSA, Ed25519 nor RSA")
	}
	return csr
}

// enrollment is a registration and what became of it.
type enrollment struct {
	id string
	registration
	state          EnrollmentState
	polls          int
	reapproved     bool // an operator approved it although it had its certificate
	tokenHash      [sha256.Size]byte
	idempotencyKey string
	token          string // kept while the answer may have to be repeated for idempotencyKey
	registeredAt   time.Time
	certificates   []*issued
}

// answers reports whether the polling token is still good.
func (e *enrollment) answers() bool {
	return e.state == EnrollmentPending || e.state == EnrollmentApproved || e.state == EnrollmentDenied
}

// takesPlace reports whether e keeps the host from registering again.
func (e *enrollment) takesPlace() bool {
	return e.state == EnrollmentPending || e.state == EnrollmentApproved || e.state == EnrollmentEnrolled
}

func (s *Server) serveRegister(w http.ResponseWriter, r *http.Request) {
	o, no := readObject(r)
	if no != nil {
		writeRefusal(w, no)
		return
	}
	q, err := parseRegistration(o)
	if err != nil {
		writeRefusal(w, badRequest(err.Error()))
		return
	}
	keys := r.Header.Values("Idempotency-Key")
	if len(keys) > 1 || len(keys) == 1 && !uuidPattern.MatchString(keys[0]) {
		writeRefusal(w, badRequest("the Idempotency-Key header is not one UUID"))
		return
	}
	token, no := s.register(q, strings.Join(keys, ""), clientAddress(r))
	if no != nil {
		writeRefusal(w, no)
		return
	}
	writeJSON(w, http.StatusAccepted, map[string]string{"polling_token": token})
}

// register takes a registration and returns its polling token.
func (s *Server) register(q registration, idempotencyKey, address string) (token string, no *refusal) {
	now := s.now()
	s.mu.Lock()
	defer s.unlock()

	if e := s.repeated(idempotencyKey); e != nil {
		if e.machineID != q.machineID || !sameKey(e.csr, q.csr) {
			return "", &refusal{status: http.StatusUnprocessableEntity, reason: "the Idempotency-Key belongs to another registration"}
		}
		return e.token, nil
	}
	if last, ok := s.lastRegistered[address]; ok {
		if wait := last.Add(s.RegisterInterval).Sub(now); wait > 0 {
			return "", &refusal{status: http.StatusTooManyRequests, reason: "too many registrations from this address", retryAfter: wait}
		}
	}
	state := EnrollmentPending
	if !s.Approval.Manual && s.Approval.After == 0 {
		state = EnrollmentApproved
	}
	for _, older := range s.enrollments {
		if !older.takesPlace() || older.machineID != q.machineID && !strings.EqualFold(older.fqdn, q.fqdn) {
			continue
		}
		if !s.AllowReRegister && !older.reapproved {
			return "", &refusal{status: http.StatusConflict, reason: "this host exists already"}
		}
		if older.reapproved {
			state = EnrollmentApproved
		}
		older.state = EnrollmentSuperseded
	}
	token = mint(pollingTokenPrefix)
	e := &enrollment{
		id:             "e" + strconv.Itoa(len(s.enrollments)+1),
		registration:   q,
		state:          state,
		tokenHash:      sha256.Sum256([]byte(token)),
		idempotencyKey: idempotencyKey,
		registeredAt:   now,
	}
	if idempotencyKey != "" {
		e.token = token
	}
	s.enrollments = append(s.enrollments, e)
	s.lastRegistered[address] = now
	return token, nil
}

// repeated finds the registration that an Idempotency-Key made.
func (s *Server) repeated(idempotencyKey string) *enrollment {
	if idempotencyKey == "" {
		return nil
	}
	for _, e := range s.enrollments {
		if e.idempotencyKey == idempotencyKey && e.answers() {
			return e
		}
	}
	return nil
}

// sameKey reports whether two CSRs, which may be nil, are of the same key. Their
// bytes may differ: an ECDSA signature is never made twice the same.
func sameKey(a, b *x509.CertificateRequest) bool {
	if a == nil || b == nil {
		return a == b
	}
	return string(a.RawSubjectPublicKeyInfo) == string(b.RawSubjectPublicKeyInfo)
}

func (s *Server) servePoll(w http.ResponseWriter, r *http.Request) {
	if err := checkBare(r); err != nil {
		writeRefusal(w, badRequest(err.Error()))
		return
	}
	answer, err := s.poll(chi.URLParam(r, "token"))
	if err != nil {
		writeRefusal(w, &refusal{status: http.StatusInternalServerError, reason: err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// poll answers a poll. A bundle is given out once: the token is unknown
// afterwards.
func (s *Server) poll(token string) (any, error) {
	type status struct {
		Status string `json:"status"`
	}
	hash := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.unlock()
	for _, e := range s.enrollments {
		if e.tokenHash != hash || !e.answers() {
			continue
		}
		if e.state == EnrollmentPending && s.Approval.After > 0 && e.polls >= s.Approval.After {
			e.state = EnrollmentApproved
		}
		e.polls++
		if e.state != EnrollmentApproved {
			return status{string(e.state)}, nil
		}
		bundle, err := s.issueBundle(e)
		if err != nil {
			return nil, err
		}
		e.state, e.reapproved, e.token = EnrollmentEnrolled, false, ""
		return bundle, nil
	}
	return status{"notfound"}, nil
}

// onEnrollment calls change with a registration that the manager knows, under the
// lock.
func (s *Server) onEnrollment(id string, change func(*enrollment) error) error {
	s.ready()
	s.mu.Lock()
	defer s.unlock()
	for _, e := range s.enrollments {
		if e.id == id && e.state != EnrollmentSuperseded {
			return change(e)
		}
	}
	return fmt.Errorf("enrollment %q: %w", redact(id), ErrNotFound)
}

// Approve approves a registration that is pending. One that has its
// certificate already is approved again: its old token is good for one more
// bundle, and its host may register once more, to be approved at once.
func (s *Server) Approve(id string) error {
	return s.onEnrollment(id, func(e *enrollment) error {
		if e.state == EnrollmentDenied {
			return fmt.Errorf("enrollment %s was denied", id)
		}
		e.reapproved = e.reapproved || e.state == EnrollmentEnrolled
		e.state = EnrollmentApproved
		return nil
	})
}

// Deny denies a registration whose bundle was not fetched yet.
func (s *Server) Deny(id string) error {
	return s.onEnrollment(id, func(e *enrollment) error {
		if e.state == EnrollmentEnrolled {
			return fmt.Errorf("enrollment %s has its certificate: revoke it instead", id)
		}
		e.state = EnrollmentDenied
		return nil
	})
}

// Remove removes a host from the manager: its token is unknown, and it may
// register again. Its certificates stay valid.
func (s *Server) Remove(id string) error {
	return s.onEnrollment(id, func(e *enrollment) error {
		e.state = EnrollmentSuperseded
		return nil
	})
}

// RevokeCertificates puts every certificate that was issued to the host so
// far on the revocation list; renewal refuses them.
func (s *Server) RevokeCertificates(id string) error {
	return s.onEnrollment(id, func(e *enrollment) error {
		if len(e.certificates) == 0 {
			return errors.New("no certificate was issued to enrollment " + id)
		}
		for _, c := range e.certificates {
			if c.revokedAt.IsZero() {
				c.revokedAt = s.now()
			}
		}
		return nil
	})
}

// seconds is d without fractions of a second, which certificates do not have,
// and at least one.
func seconds(d time.Duration) time.Duration {
	return max(d.Truncate(time.Second), time.Second)
}
