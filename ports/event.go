package ports

import "log/slog"

// Event names what a line of the log tells, so that it can be searched for.
// docs/SPEC.md, "Log", says when each is written.
type Event string

// The events.
const (
	EventStarting           Event = "starting"
	EventNotConfigured      Event = "not_configured"
	EventStopping           Event = "stopping"
	EventConfiguration      Event = "configuration"
	EventLock               Event = "lock"
	EventIdentity           Event = "identity"
	EventIdentityRepaired   Event = "identity.repaired"
	EventCloneDetected      Event = "clone.detected"
	EventCredentialLoaded   Event = "credential.loaded"
	EventCredentialStored   Event = "credential.stored"
	EventCredentialRefused  Event = "credential.refused"
	EventEnrollmentKey      Event = "enrollment_key"
	EventLegacyAPIKey       Event = "legacy_api_key"
	EventEnrollAttempt      Event = "enroll.attempt"
	EventEnrollEnrolled     Event = "enroll.enrolled"
	EventEnrollPending      Event = "enroll.pending"
	EventEnrollRejected     Event = "enroll.rejected"
	EventEnrollSiteConflict Event = "enroll.site_conflict"
	EventEnrollDenied       Event = "enroll.denied"
	EventEnrollRetry        Event = "enroll.retry"
	EventManagerRegistered  Event = "manager.registered"
	EventManagerResumed     Event = "manager.resumed"
	EventManagerApproved    Event = "manager.approved"
	EventCertsStatus        Event = "certs.status"
	EventCertsInstalled     Event = "certs.installed"
	EventCertsRenewed       Event = "certs.renewed"
	EventListening          Event = "listening"
	EventListenerFailed     Event = "listener.failed"
	EventRelayConnected     Event = "relay.connected"
	EventRelayDisconnected  Event = "relay.disconnected"
	EventRelayFrame         Event = "relay.frame"
	EventClockSkew          Event = "clock.skew"
	EventStoreRecovered     Event = "store.recovered"
	EventStoreBlocked       Event = "store.blocked"
	EventStatusServer       Event = "status.server"
	EventSupervisor         Event = "supervisor"
)

// EventKey is the key of the attribute that names a line's event.
const EventKey = "event"

// Attr is the attribute that names the event of a line.
func (e Event) Attr() slog.Attr { return slog.String(EventKey, string(e)) }
