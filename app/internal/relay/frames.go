package relay

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/muster-agent/muster/app/internal/site"
	"github.com/muster-agent/muster/ports"
)

// unknownFrames is how many unknown frame types are remembered as logged.
const unknownFrames = 16

// obey does what the relay asks for, each thing at most once an hour
// (retry.ObeyPause).
func (s *Session) obey(ctx context.Context, frame ports.RelayFrame) {
	switch frame.Type {
	case ports.FrameReenroll:
		if s.MissingForSite != "" {
			s.Log.Warn("the relay asks for a new enrollment, but site enrollment is not configured", ports.EventRelayFrame.Attr())
			return
		}
		if s.mayObey(ctx, frame.Type) {
			s.Wanted.Ask(site.Always)
		}
	case ports.FrameRenewCertificates:
		if s.RenewCertificate == nil {
			s.Log.Warn("the relay asks for a renewal of the certificates, but no manager is configured", ports.EventRelayFrame.Attr())
			return
		}
		if s.mayObey(ctx, frame.Type) {
			s.RenewCertificate()
		}
	default:
		if !s.unknown[frame.Type] && len(s.unknown) < unknownFrames {
			if s.unknown == nil {
				s.unknown = map[string]bool{}
			}
			s.unknown[frame.Type] = true
			name := cmp.Or(frame.Type, "(not a plain name)")
			s.Log.Info("the relay sent a frame of a type that is not known here: ignored", ports.EventRelayFrame.Attr(), slog.String("type", name))
		}
	}
}

// mayObey notes that a frame is obeyed, and says whether it may be.
func (s *Session) mayObey(ctx context.Context, frame string) bool {
	may, err := s.Attempts.Obey(ctx, frame)
	s.logUnsaved(err)
	if !may {
		s.Log.Info("the relay asks again within an hour: ignored", ports.EventRelayFrame.Attr(), slog.String("type", frame))
		return false
	}
	s.Log.Info("the relay asks: obeyed", ports.EventRelayFrame.Attr(), slog.String("type", frame))
	return true
}
