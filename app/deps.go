package app

import (
	"log/slog"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Deps is everything that an agent reaches: its settings and its ports. All
// fields are needed but those that say otherwise.
type Deps struct {
	Settings ports.Settings
	Version  string
	Log      *slog.Logger
	Machine
	State
	Servers
	Host
}

// Machine is what the machine itself answers.
type Machine struct {
	Hostname  string
	Signals   ports.SignalReader
	Describer ports.HostDescriber // nil without an issuer
	// Wall is the wall clock; waits use it beside the monotonic one.
	Wall func() time.Time
	// Chance draws from [0,1).
	Chance func() float64
	// Random fills b with cryptographically random bytes; it never fails.
	Random func(b []byte)
}

// State is what lasts.
type State struct {
	Identities ports.IdentityStore
	// Handover holds, for as long as the service runs, an identity that could
	// not be written where it belongs: Identify leaves it there for an agent
	// with fewer rights. It is nil where there is no such place.
	Handover    ports.IdentityStore
	Credentials ports.CredentialStore
	Retries     ports.RetryStore
	Directory   ports.StateDirectory
	// Lock is taken by Run; the commands take it themselves.
	Lock         ports.ProcessLock
	Certificates ports.CertificateFiles // nil where there are none to care for
	Journal      ports.IssueJournal
	// EnrollmentKey is where the enrollment key lies; nil where it stays.
	EnrollmentKey ports.EnrollmentKeyPlace
}

// Servers are who is asked for an identity, and told of it.
type Servers struct {
	Site   ports.SiteEnroller      // nil where site enrollment is not configured
	Relay  ports.RelayDialer       // nil where there is no relay to connect to
	Issuer ports.CertificateIssuer // nil where none is configured
	// Revocations is nil where the issuer publishes no revocation list.
	Revocations ports.RevocationSource
}

// Host is who the agent serves on this machine.
type Host struct {
	// InUse is told which certificate to use: the listener and the issuer's
	// client.
	InUse        ports.CertificateHolder
	Listener     ports.Listener // nil where nothing listens
	Supervisor   ports.Supervisor
	StatusServer ports.StatusServer // nil where nobody may ask
}
