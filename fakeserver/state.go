package fakeserver

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// State is what the server knows, without its secrets.
type State struct {
	// Connections is how many TCP connections were accepted since Start.
	Connections int `json:"connections"`
	// RelayConnections is how many relay connections there have been.
	RelayConnections int          `json:"relay_connections"`
	Sites            []Site       `json:"sites"`    // by code
	Machines         []Machine    `json:"machines"` // by machine_uid
	Relay            []Session    `json:"relay"`    // those open now, by machine_uid
	Enrollments      []Enrollment `json:"enrollments"`
	Faults           []FaultState `json:"faults"`
}

// Site is a site.
type Site struct {
	SiteCode    string `json:"site_code"`
	Fingerprint string `json:"fingerprint"` // of the enrollment key, as "v1 (7F2A)"
}

// Machine is an enrolled machine.
type Machine struct {
	MachineUID  string    `json:"machine_uid"`
	SiteCode    string    `json:"site_code"`
	Hostname    string    `json:"hostname"`
	Labels      Labels    `json:"labels"`
	Fingerprint string    `json:"fingerprint"` // of the API key, as "v1 (7F2A)"
	Revoked     bool      `json:"revoked"`
	EnrolledAt  time.Time `json:"enrolled_at"` // first
	// LastSeen is its last enrollment or the end of its last relay connection.
	LastSeen time.Time `json:"last_seen"`
	// Enrollments counts those that were answered with 200 or 201.
	Enrollments int  `json:"enrollments"`
	Connected   bool `json:"connected"`
	// Collision is nil unless one waits for Confirm or the machine's return.
	Collision *Collision `json:"collision"`
}

// Labels are an enrolled machine's labels.
type Labels struct {
	Company    string   `json:"company"`
	Site       string   `json:"site"`
	Department string   `json:"department"`
	DeviceType string   `json:"device_type"`
	Tags       []string `json:"tags"`
}

// Collision is an active machine that was asked for under another hostname.
type Collision struct {
	Hostname  string    `json:"hostname"`
	Since     time.Time `json:"since"`
	Attempts  int       `json:"attempts"`
	Confirmed bool      `json:"confirmed"`
}

// Session is a relay connection.
type Session struct {
	MachineUID string    `json:"machine_uid"`
	AgentID    string    `json:"agent_id"`
	Hostname   string    `json:"hostname"`
	Auth       string    `json:"auth"` // "query" or "header"
	Since      time.Time `json:"since"`
	// Connection numbers the TCP connections from 1; zero without Start.
	Connection int `json:"connection"`
	// Frames and Pings are how many came from the agent.
	Frames     int          `json:"frames"`
	Pings      int          `json:"pings"`
	LastStatus *AgentStatus `json:"last_status"` // nil before the first
}

// AgentStatus is an agent_status frame.
type AgentStatus struct {
	MachineUID    string            `json:"machine_uid"`
	Hostname      string            `json:"hostname"`
	Version       string            `json:"version"`
	UptimeSeconds int64             `json:"uptime_seconds"`
	Certificate   CertificateStatus `json:"certificate"`
}

// CertificateStatus is the part of a frame about the agent's certificate.
type CertificateStatus struct {
	Status   string     `json:"status"`
	NotAfter *time.Time `json:"not_after"`
}

// Enrollment is a registration at the manager.
type Enrollment struct {
	ID           string          `json:"id"`
	State        EnrollmentState `json:"state"`
	MachineID    string          `json:"machine_id"`
	FQDN         string          `json:"fqdn"`
	Hostname     string          `json:"hostname"`
	IPAddress    string          `json:"ip_address"`
	OSDetails    OSDetails       `json:"os_details"`
	CSR          bool            `json:"csr"` // one was sent
	RegisteredAt time.Time       `json:"registered_at"`
	// Polls counts the polls with its token, the last one included.
	Polls        int           `json:"polls"`
	Certificates []Certificate `json:"certificates"` // oldest first
}

// OSDetails is a registered host's operating system.
type OSDetails struct {
	Distro   string `json:"distro"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	Codename string `json:"codename"`
	IDLike   string `json:"id_like"`
	Kernel   string `json:"kernel"`
}

// Certificate is a certificate that the manager issued.
type Certificate struct {
	Serial    string    `json:"serial"` // in hex
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Revoked   bool      `json:"revoked"`
}

// FaultState is a fault in force, or used up. Its body and headers, which may
// hold a secret, are not shown.
type FaultState struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Times  int    `json:"times"`
	Used   int    `json:"used"`
}

// State is what the server knows now.
func (s *Server) State() State {
	s.ready()
	s.mu.Lock()
	defer s.mu.Unlock()
	state := State{
		Connections:      s.connections,
		RelayConnections: s.sessionsTotal,
		Sites:            []Site{},
		Machines:         []Machine{},
		Relay:            []Session{},
		Enrollments:      []Enrollment{},
		Faults:           []FaultState{},
	}
	for _, code := range slices.Sorted(maps.Keys(s.sites)) {
		state.Sites = append(state.Sites, Site{code, s.sites[code].key.fingerprint()})
	}
	for _, uid := range slices.Sorted(maps.Keys(s.machines)) {
		state.Machines = append(state.Machines, s.showMachine(s.machines[uid]))
	}
	for _, uid := range slices.Sorted(maps.Keys(s.sessions)) {
		state.Relay = append(state.Relay, s.sessions[uid].show())
	}
	for _, e := range s.enrollments {
		state.Enrollments = append(state.Enrollments, e.show())
	}
	for _, f := range s.faults {
		state.Faults = append(state.Faults, FaultState{f.Match.Method, redactPath(f.Match.Path), f.Times, f.used})
	}
	return state
}

func (s *Server) showMachine(m *machine) Machine {
	tags := []string{}
	for _, tag := range m.labels.Tags {
		tags = append(tags, redact(tag))
	}
	shown := Machine{
		MachineUID: m.uid,
		SiteCode:   m.siteCode,
		Hostname:   redact(m.hostname),
		Labels: Labels{
			Company:    redact(m.labels.Company),
			Site:       redact(m.labels.Site),
			Department: redact(m.labels.Department),
			DeviceType: redact(m.labels.DeviceType),
			Tags:       tags,
		},
		Fingerprint: m.key.fingerprint(),
		Revoked:     m.revoked,
		EnrolledAt:  m.enrolledAt.UTC(),
		LastSeen:    m.lastSeen.UTC(),
		Enrollments: m.enrollments,
		Connected:   s.sessions[m.uid] != nil,
	}
	if m.collision != nil {
		collision := *m.collision
		collision.Hostname = redact(collision.Hostname)
		shown.Collision = &collision
	}
	return shown
}

func (x *session) show() Session {
	shown := x.Session
	shown.Hostname = redact(shown.Hostname)
	if x.LastStatus != nil {
		status := *x.LastStatus
		status.Hostname, status.Version = redact(status.Hostname), redact(status.Version)
		shown.LastStatus = &status
	}
	return shown
}

func (e *enrollment) show() Enrollment {
	shown := Enrollment{
		ID:        e.id,
		State:     e.state,
		MachineID: e.machineID,
		FQDN:      redact(e.fqdn),
		Hostname:  redact(e.hostname),
		IPAddress: e.ip.String(),
		OSDetails: OSDetails{
			Distro:   redact(e.os.Distro),
			Name:     redact(e.os.Name),
			Version:  redact(e.os.Version),
			Codename: redact(e.os.Codename),
			IDLike:   redact(e.os.IDLike),
			Kernel:   redact(e.os.Kernel),
		},
		CSR:          e.csr != nil,
		RegisteredAt: e.registeredAt.UTC(),
		Polls:        e.polls,
		Certificates: []Certificate{},
	}
	for _, c := range e.certificates {
		shown.Certificates = append(shown.Certificates, Certificate{
			Serial:    c.SerialNumber.Text(16),
			NotBefore: c.NotBefore,
			NotAfter:  c.NotAfter,
			Revoked:   !c.revokedAt.IsZero(),
		})
	}
	return shown
}

// serveList is the manager's own list of registrations, for its operators.
func (s *Server) serveList(w http.ResponseWriter, r *http.Request) {
	if err := checkBare(r); err != nil {
		writeRefusal(w, badRequest(err.Error()))
		return
	}
	writeJSON(w, http.StatusOK, s.State().Enrollments)
}
