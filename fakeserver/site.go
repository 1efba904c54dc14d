package fakeserver

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"
)

const (
	defaultSeenRecently    = 5 * time.Minute
	defaultEnrollPerMinute = 6000
)

var (
	machineUIDPattern    = regexp.MustCompile(`^muid_[0-9a-f]{64}$`)
	enrollmentKeyPattern = regexp.MustCompile(`^cek_[A-Za-z0-9_-]{8,}$`)
)

// ErrNotFound is the kind of an error of a control that names a site, a
// machine, an enrollment or a relay connection that is not there.
var ErrNotFound = errors.New("not found")

// SiteKey is a site's enrollment key. The server itself keeps its hash only.
type SiteKey struct {
	SiteCode      string `json:"site_code"`
	EnrollmentKey string `json:"enrollment_key"`
	Fingerprint   string `json:"fingerprint"` // as "v1 (7F2A)"
}

type site struct {
	code string
	key  hashedKey
}

// AddSite adds a site with an enrollment key: "cek_" and at least 8
// characters of base64url. An empty key mints one.
func (s *Server) AddSite(code, key string) (SiteKey, error) {
	if code == "" {
		return SiteKey{}, errors.New("a site needs a code")
	}
	if key == "" {
		key = mint(enrollmentKeyPrefix)
	}
	if !enrollmentKeyPattern.MatchString(key) {
		return SiteKey{}, fmt.Errorf("the enrollment key of site %q is not cek_ and at least 8 letters, digits, - or _", code)
	}
	s.ready()
	s.mu.Lock()
	defer s.unlock()
	if s.sites[code] != nil {
		return SiteKey{}, fmt.Errorf("there is a site %q already", code)
	}
	s.sites[code] = &site{code, hashKey(1, key)}
	return SiteKey{code, key, s.sites[code].key.fingerprint()}, nil
}

// RotateSite replaces a site's enrollment key with a minted one. The old one
// enrolls nobody any more; machines that are enrolled do not notice.
func (s *Server) RotateSite(code string) (SiteKey, error) {
	s.ready()
	s.mu.Lock()
	defer s.unlock()
	site := s.sites[code]
	if site == nil {
		return SiteKey{}, fmt.Errorf("site %q: %w", code, ErrNotFound)
	}
	key := mint(enrollmentKeyPrefix)
	site.key = hashKey(site.key.version+1, key)
	return SiteKey{code, key, site.key.fingerprint()}, nil
}

// enrollRequest is the body of POST /api/enroll.
type enrollRequest struct {
	siteCode      string
	enrollmentKey string
	machineUID    string
	hostname      string
	labels        Labels
}

func parseEnroll(o *object) (enrollRequest, error) {
	q := enrollRequest{
		siteCode:      o.text("site_code"),
		enrollmentKey: o.text("enrollment_key"),
		machineUID:    o.text("machine_uid"),
		hostname:      o.text("hostname"),
	}
	labels := o.inner("labels")
	q.labels = Labels{
		Company:    labels.text("company"),
		Site:       labels.text("site"),
		Department: labels.text("department"),
		DeviceType: labels.text("device_type"),
		Tags:       labels.texts("tags"),
	}
	if err := labels.end(); err != nil {
		return q, err
	}
	o.require(q.siteCode != "", "site_code", "is empty")
	o.require(enrollmentKeyPattern.MatchString(q.enrollmentKey), "enrollment_key", "is not cek_ and at least 8 letters, digits, - or _")
	o.require(machineUIDPattern.MatchString(q.machineUID), "machine_uid", "is not muid_ and 64 hex digits in lower case")
	o.require(q.hostname != "", "hostname", "is empty")
	o.require(!slices.Contains(q.labels.Tags, ""), "labels.tags", "holds an empty tag")
	return q, o.end()
}

func (s *Server) serveEnroll(w http.ResponseWriter, r *http.Request) {
	o, no := readObject(r)
	if no != nil {
		writeRefusal(w, no)
		return
	}
	q, err := parseEnroll(o)
	if err != nil {
		writeRefusal(w, badRequest(err.Error()))
		return
	}
	status, key, no := s.enroll(q, clientAddress(r))
	switch {
	case no != nil:
		writeRefusal(w, no)
	case status == http.StatusAccepted:
		writeJSON(w, status, map[string]string{"state": "collision_pending"})
	default:
		// Agents ignore members that they do not know, such as the last two.
		writeJSON(w, status, map[string]string{"key": key, "state": "enrolled", "machine_uid": q.machineUID})
	}
}

// enroll decides on an enrollment. The status is 200, 201 or, without a key,
// 202.
func (s *Server) enroll(q enrollRequest, address string) (status int, key string, no *refusal) {
	now := s.now()
	s.mu.Lock()
	defer s.unlock()
	if wait := s.enrolls.add(q.siteCode, address, orDefault(s.EnrollPerMinute, defaultEnrollPerMinute), now); wait > 0 {
		return 0, "", &refusal{http.StatusTooManyRequests, "too many enrollments of this site from this address", "RATE_LIMITED", wait}
	}
	site := s.sites[q.siteCode]
	if site == nil || !site.key.matches(q.enrollmentKey) {
		return 0, "", &refusal{status: http.StatusUnauthorized, reason: "wrong enrollment key, or unknown site", code: "ENROLL_REJECTED"}
	}
	m := s.machines[q.machineUID]
	switch {
	case m == nil:
		status = http.StatusCreated
		m = &machine{uid: q.machineUID, siteCode: q.siteCode, enrolledAt: now}
		s.machines[q.machineUID] = m
	case m.siteCode != q.siteCode:
		return 0, "", &refusal{status: http.StatusConflict, reason: "this machine belongs to another site", code: "ENROLL_SITE_CONFLICT"}
	case m.hostname != q.hostname && !m.confirmedFor(q.hostname) && s.active(m, now):
		m.collide(q.hostname, now)
		return http.StatusAccepted, "", nil
	default:
		status = http.StatusOK
	}
	key = mint(apiKeyPrefix)
	m.enrolled(q, hashKey(m.key.version+1, key), now)
	return status, key, nil
}

// enrollCounts counts enrollments by site and address in windows of a minute.
type enrollCounts struct {
	since  time.Time
	counts map[[2]string]int
}

// add counts one enrollment and returns zero or, if the limit is reached, the time
// until the window is over.
func (c *enrollCounts) add(site, address string, limit int, now time.Time) time.Duration {
	const window = time.Minute
	if age := now.Sub(c.since); age < 0 || age >= window {
		c.since, c.counts = now, make(map[[2]string]int)
	}
	counter := [2]string{site, address}
	if limit >= 0 && c.counts[counter] >= limit {
		return c.since.Add(window).Sub(now)
	}
	c.counts[counter]++
	return 0
}
