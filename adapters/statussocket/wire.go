// Package statussocket lets local callers ask the running agent how it stands:
// over a Unix socket in the state directory, on Windows over a named pipe.
package statussocket

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/muster-agent/muster/ports"
)

// FileName is the socket's name in the state directory; not used on Windows.
const FileName = "agent.sock"

// The JSON of `muster status --json` (docs/SPEC.md, "Status"). Unknown values are
// null.
type (
	statusJSON struct {
		Version          *string         `json:"version"`
		State            string          `json:"state"`
		MachineUID       *string         `json:"machine_uid"`
		MachineUIDSource *string         `json:"machine_uid_source"`
		AgentID          *string         `json:"agent_id"`
		Hostname         *string         `json:"hostname"`
		Credential       credentialJSON  `json:"credential"`
		Enrollment       enrollmentJSON  `json:"enrollment"`
		Certificate      certificateJSON `json:"certificate"`
		Relay            relayJSON       `json:"relay"`
		ClockSkewSeconds *int64          `json:"clock_skew_seconds"`
		Listener         listenerJSON    `json:"listener"`
		Blocked          *string         `json:"blocked"`
	}
	credentialJSON struct {
		Present     bool       `json:"present"`
		Source      *string    `json:"source"`
		StoredAt    *time.Time `json:"stored_at"`
		Protection  *string    `json:"protection"`
		Fingerprint *string    `json:"fingerprint"`
	}
	enrollmentJSON struct {
		Site    siteJSON    `json:"site"`
		Manager managerJSON `json:"manager"`
	}
	siteJSON struct {
		State       string     `json:"state"`
		Since       *time.Time `json:"since"`
		NextAttempt *time.Time `json:"next_attempt"`
		LastError   *string    `json:"last_error"`
	}
	managerJSON struct {
		State       string     `json:"state"`
		Polls       int        `json:"polls"`
		NextAttempt *time.Time `json:"next_attempt"`
		LastError   *string    `json:"last_error"`
	}
	certificateJSON struct {
		Status    string     `json:"status"`
		NotBefore *time.Time `json:"not_before"`
		NotAfter  *time.Time `json:"not_after"`
		RenewAt   *time.Time `json:"renew_at"`
		Subject   *string    `json:"subject"`
		Detail    *string    `json:"detail"`
	}
	relayJSON struct {
		State     string     `json:"state"`
		Since     *time.Time `json:"since"`
		LastError *string    `json:"last_error"`
	}
	listenerJSON struct {
		Addr *string `json:"addr"`
	}
)

// Encode returns the status as one line of JSON with a newline.
func Encode(s ports.Status) []byte {
	j := statusJSON{
		Version: known(s.Version), State: string(s.State), MachineUID: known(s.MachineUID),
		MachineUIDSource: known(string(s.MachineUIDSource)), AgentID: known(s.AgentID), Hostname: known(s.Hostname),
		Credential: credentialJSON{
			Present: s.Credential.Present, Source: known(string(s.Credential.Source)), StoredAt: moment(s.Credential.StoredAt),
			Protection: known(s.Credential.Protection), Fingerprint: known(s.Credential.Fingerprint),
		},
		Enrollment: enrollmentJSON{
			Site:    siteJSON{string(s.Site.State), moment(s.Site.Since), moment(s.Site.NextAttempt), known(s.Site.LastError)},
			Manager: managerJSON{string(s.Issuer.State), s.Issuer.Polls, moment(s.Issuer.NextAttempt), known(s.Issuer.LastError)},
		},
		Certificate: certificateJSON{
			Status: string(s.Certificate.Status), NotBefore: moment(s.Certificate.NotBefore), NotAfter: moment(s.Certificate.NotAfter),
			RenewAt: moment(s.Certificate.RenewAt), Subject: known(s.Certificate.Subject), Detail: known(s.Certificate.Detail),
		},
		Relay:    relayJSON{string(s.Relay.State), moment(s.Relay.Since), known(s.Relay.LastError)},
		Listener: listenerJSON{known(s.ListenerAddr)},
		Blocked:  known(s.Blocked),
	}
	if s.ClockSkew != nil {
		seconds := int64(*s.ClockSkew / time.Second)
		j.ClockSkewSeconds = &seconds
	}
	line, err := json.Marshal(j)
	if err != nil { // strings, numbers, booleans and times within the years 0 to 9999 always encode
		line = []byte(fmt.Sprintf(`{"state":%q}`, s.State))
	}
	return append(line, '\n')
}

// Decode reads what Encode wrote.
func Decode(line []byte) (ports.Status, error) {
	var j statusJSON
	if err := json.Unmarshal(line, &j); err != nil {
		return ports.Status{}, fmt.Errorf("the agent's answer is no status: %w", err)
	}
	s := ports.Status{
		Version: value(j.Version), State: ports.OverallState(j.State), MachineUID: value(j.MachineUID),
		MachineUIDSource: ports.IdentitySource(value(j.MachineUIDSource)), AgentID: value(j.AgentID), Hostname: value(j.Hostname),
		Credential: ports.CredentialStatus{
			Present: j.Credential.Present, Source: ports.CredentialSource(value(j.Credential.Source)), StoredAt: value(j.Credential.StoredAt),
			Protection: value(j.Credential.Protection), Fingerprint: value(j.Credential.Fingerprint),
		},
		Site: ports.SiteStatus{
			State: ports.SiteState(j.Enrollment.Site.State), Since: value(j.Enrollment.Site.Since),
			NextAttempt: value(j.Enrollment.Site.NextAttempt), LastError: value(j.Enrollment.Site.LastError),
		},
		Issuer: ports.IssuerStatus{
			State: ports.IssuerState(j.Enrollment.Manager.State), Polls: j.Enrollment.Manager.Polls,
			NextAttempt: value(j.Enrollment.Manager.NextAttempt), LastError: value(j.Enrollment.Manager.LastError),
		},
		Certificate: ports.CertificateReport{
			Status: ports.CertificateStatus(j.Certificate.Status), NotBefore: value(j.Certificate.NotBefore), NotAfter: value(j.Certificate.NotAfter),
			RenewAt: value(j.Certificate.RenewAt), Subject: value(j.Certificate.Subject), Detail: value(j.Certificate.Detail),
		},
		Relay:        ports.RelayStatus{State: ports.RelayState(j.Relay.State), Since: value(j.Relay.Since), LastError: value(j.Relay.LastError)},
		ListenerAddr: value(j.Listener.Addr),
		Blocked:      value(j.Blocked),
	}
	if j.ClockSkewSeconds != nil {
		skew := time.Duration(*j.ClockSkewSeconds) * time.Second
		s.ClockSkew = &skew
	}
	return s, nil
}

// known returns nil for an unknown text.
func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// moment returns nil for an unknown time, and others in UTC and in whole seconds.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

func value[T any](p *T) T {
	if p == nil {
		var unknown T
		return unknown
	}
	return *p
}
