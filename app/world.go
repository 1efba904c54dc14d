// Package app tells the story of an agent's life in use cases. It carries out
// what domain decides, through ports.
package app

import (
	"log/slog"
	"time"

	"github.com/muster-agent/muster/ports"
)

// World is everything an agent reaches: its settings and its ports. All fields
// are needed but those that say otherwise.
type World struct {
	Settings ports.Settings
	Version  string
	Hostname string

	Signals    ports.SignalReader
	Identities ports.IdentityStore
	// Handover holds an identity for as long as the service runs that could
	// not be written where it belongs: Identify leaves it there for an agent
	// with fewer rights. It is nil where there is no such place.
	Handover    ports.IdentityStore
	Credentials ports.CredentialStore
	Retries     ports.RetryStore
	State       ports.StateDirectory
	// Lock is taken by Run; the commands take it themselves.
	Lock ports.ProcessLock

	// Site is nil where site enrollment is not configured.
	Site ports.SiteEnroller
	// EnrollmentKey is where the enrollment key lies; nil where it stays.
	EnrollmentKey ports.EnrollmentKeyPlace
	// Relay is nil where there is no relay to connect to.
	Relay ports.RelayDialer

	// Manager is nil where no manager is configured.
	Manager      ports.ManagerEnroller
	Certificates ports.CertificateFiles
	Journal      ports.ManagerJournal
	// InUse is told which certificate to use: the listener and the manager's
	// client.
	InUse ports.CertificateHolder
	// Listener is nil where nothing listens.
	Listener ports.Listener
	Host     ports.HostDescriber

	Supervisor ports.Supervisor
	// StatusServer is nil where nobody may ask.
	StatusServer ports.StatusServer

	Log *slog.Logger
	// Wall is the wall clock; waits use it beside the monotonic one.
	Wall func() time.Time
	// Chance draws from [0,1).
	Chance func() float64
	// Random fills b with cryptographically random bytes; it never fails.
	Random func(b []byte)
}

// The events of the log (docs/SPEC.md, "Log") that this package emits.
const (
	eventCredentialLoaded  = "credential.loaded"
	eventCredentialStored  = "credential.stored"
	eventCredentialRefused = "credential.refused"
	eventEnrollAttempt     = "enroll.attempt"
	eventEnrollRetry       = "enroll.retry"
	eventRelayConnected    = "relay.connected"
	eventRelayDisconnected = "relay.disconnected"
	eventClockSkew         = "clock.skew"
	eventStoreBlocked      = "store.blocked"
	eventStoreRecovered    = "store.recovered"
	eventCloneDetected     = "clone.detected"
	eventLegacyAPIKey      = "legacy_api_key"
	eventStopping          = "stopping"
	eventNotConfigured     = "not_configured"
	eventCertsStatus       = "certs.status"
	eventCertsInstalled    = "certs.installed"
	eventCertsRenewed      = "certs.renewed"
	eventManagerResumed    = "manager.resumed"
	eventListening         = "listening"
	eventListenerFailed    = "listener.failed"
	eventIdentity          = "identity"
	eventIdentityRepaired  = "identity.repaired"
	eventRelayFrame        = "relay.frame"
	eventSupervisor        = "supervisor"
	eventStatusServer      = "status.server"
	eventLock              = "lock"
	eventEnrollmentKey     = "enrollment_key"
)

// event is the attribute that makes a log line stable to search for.
func event(name string) slog.Attr { return slog.String("event", name) }
