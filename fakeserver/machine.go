package fakeserver

import (
	"fmt"
	"time"
)

// machine is what the server knows of a machine.
type machine struct {
	uid         string
	siteCode    string
	hostname    string
	labels      Labels
	key         hashedKey
	revoked     bool
	enrolledAt  time.Time // first
	lastSeen    time.Time // last enrollment, or end of the last relay connection
	enrollments int
	collision   *Collision
}

// enrolled notes an enrollment and its fresh key, which replaces the former
// one and, if that was revoked, the revocation.
func (m *machine) enrolled(q enrollRequest, key hashedKey, now time.Time) {
	m.hostname = q.hostname
	m.labels = q.labels
	m.key = key
	m.revoked = false
	m.lastSeen = now
	m.enrollments++
	m.collision = nil
}

// collide notes that the machine was asked for under another hostname. An
// earlier confirmation, of yet another hostname, is void.
func (m *machine) collide(hostname string, now time.Time) {
	if m.collision == nil || m.collision.Hostname != hostname {
		m.collision = &Collision{Hostname: hostname, Since: now.UTC()}
	}
	m.collision.Attempts++
}

func (m *machine) confirmedFor(hostname string) bool {
	return m.collision != nil && m.collision.Confirmed && m.collision.Hostname == hostname
}

// active reports whether a machine is connected or was seen recently.
func (s *Server) active(m *machine, now time.Time) bool {
	return s.sessions[m.uid] != nil || now.Sub(m.lastSeen) < orDefault(s.SeenRecently, defaultSeenRecently)
}

// onMachine calls change with a machine that the server knows, under the lock.
func (s *Server) onMachine(uid string, change func(*machine) error) error {
	s.ready()
	s.mu.Lock()
	defer s.unlock()
	m := s.machines[uid]
	if m == nil {
		return fmt.Errorf("machine %q: %w", redact(uid), ErrNotFound)
	}
	return change(m)
}

// Confirm says, for an operator, that the machine in collision is the one that
// the server knows: its next enrollment gets 200 and a fresh key.
func (s *Server) Confirm(machineUID string) error {
	return s.onMachine(machineUID, func(m *machine) error {
		if m.collision == nil {
			return fmt.Errorf("machine %q is in no collision", machineUID)
		}
		m.collision.Confirmed = true
		return nil
	})
}

// Revoke revokes the machine's key and ends its relay connection. The relay
// refuses the key with CREDENTIAL_REVOKED from then on; a new enrollment is
// answered with 200 and a fresh key.
func (s *Server) Revoke(machineUID string) error {
	return s.onMachine(machineUID, func(m *machine) error {
		m.revoked = true
		if session := s.sessions[machineUID]; session != nil {
			session.end(closePolicyViolation, "credential revoked")
		}
		return nil
	})
}

// Forget makes the server know nothing of the machine and ends its relay
// connection. The relay refuses it with UNKNOWN_AGENT from then on; a new
// enrollment is answered with 201.
func (s *Server) Forget(machineUID string) error {
	return s.onMachine(machineUID, func(*machine) error {
		delete(s.machines, machineUID)
		if session := s.sessions[machineUID]; session != nil {
			session.end(closePolicyViolation, "unknown agent")
		}
		return nil
	})
}

// Assign moves the machine to another site. Its key goes on working; an
// enrollment for the former site is a conflict.
func (s *Server) Assign(machineUID, siteCode string) error {
	return s.onMachine(machineUID, func(m *machine) error {
		if s.sites[siteCode] == nil {
			return fmt.Errorf("site %q: %w", siteCode, ErrNotFound)
		}
		m.siteCode = siteCode
		return nil
	})
}
