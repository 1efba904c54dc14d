package app

import (
	"context"
	"errors"

	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/ports"
)

// forget removes the enrollment key from where it lies at rest, now that there
// is a credential. That it cannot is said once: it is nothing that the agent
// or its work depends on.
func (s *siteEnrollment) forget(ctx context.Context) {
	if s.w.EnrollmentKey == nil || s.forgotten {
		return
	}
	err := s.w.EnrollmentKey.Forget(ctx)
	switch {
	case err == nil:
		s.w.Log.Info("the enrollment key is removed from this machine", event(eventEnrollmentKey))
	case ctx.Err() != nil:
		return
	default:
		text := "the enrollment key stays on this machine: " + err.Error()
		if !errors.Is(err, ports.ErrNotRemovable) {
			text += "; it is tried again at the next start"
		}
		s.w.Log.Warn(text, event(eventEnrollmentKey))
	}
	s.forgotten = true
}

// forgetIfEnrolled is forget for who does not know whether there is a
// credential of what is configured.
func (s *siteEnrollment) forgetIfEnrolled(ctx context.Context) {
	if s.w.EnrollmentKey == nil {
		return
	}
	if found, _, err := s.find(ctx); err == nil && found.Stored == credential.Ours {
		s.forget(ctx)
	}
}
