package ports

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RelayDialer opens the standing connection to the relay (GET /ws/agent,
// upgraded to a WebSocket).
//
// Dial makes one attempt, ends within 30 s, and at once when ctx is done. A
// handshake refused with 401 or 403 gives a *RelayRefusedError; every other
// error is transient. One answered with 429 or 503 gives an error that wraps a
// *RelayBusyError. No error's text holds a secret: neither the key nor the URL's
// query.
type RelayDialer interface {
	Dial(ctx context.Context, hello RelayHello) (RelayConn, error)
}

// RelayHello is what the agent presents.
type RelayHello struct {
	AgentID    string
	MachineUID string
	Hostname   string
	Key        Secret
}

// RelayConn is one connection. Receive may be called from one goroutine while
// others call Send and Ping. After Close, or once the connection broke, every
// method returns an error promptly.
type RelayConn interface {
	// Send writes one agent_status frame.
	Send(ctx context.Context, status AgentStatus) error
	// Receive blocks until a frame arrives, ctx is done or the connection
	// ends. A frame that is no JSON object with a type is an unknown frame
	// with the type "". A frame over 64 KiB ends the connection. Ending ctx
	// may end the connection.
	Receive(ctx context.Context) (RelayFrame, error)
	// Ping sends a ping and waits for its pong until ctx is done. It needs a
	// Receive under way.
	Ping(ctx context.Context) error
	// Close sends a normal close frame (1000) and waits for the peer's until
	// ctx is done; then it cuts the connection. It is safe to call twice.
	Close(ctx context.Context) error
	// ServerTime is the Date header of the handshake; zero if there was none.
	ServerTime() time.Time
}

// AgentStatus is what the agent tells the relay on connect and then every
// 60 s.
type AgentStatus struct {
	MachineUID  string
	Hostname    string
	Version     string
	Uptime      time.Duration // sent in whole seconds
	Certificate RelayCertificate
}

// RelayCertificate is the part of a certificate's state that the relay shows.
type RelayCertificate struct {
	Status   CertificateStatus
	NotAfter time.Time // zero if there is none
}

// RelayFrame is a frame from the relay. Its type is fit for a log: at most 40
// lower-case letters, digits and the marks "_", "-" and ".", and no key among
// them; "" stands for any other.
type RelayFrame struct{ Type string }

// The frames that the agent obeys, each at most once an hour.
const (
	FrameRenewCertificates = "renew_certificates"
	FrameReenroll          = "reenroll"
)

// The codes that a refused handshake may carry.
const (
	RefusedUnknownAgent      = "UNKNOWN_AGENT"
	RefusedCredentialRevoked = "CREDENTIAL_REVOKED"
)

// ErrRelayRefused is the kind of every *RelayRefusedError.
var ErrRelayRefused = errors.New("the relay refused the credential")

// RelayRefusedError is a handshake that was answered with 401 or 403.
type RelayRefusedError struct {
	Status     int
	Code       string // RefusedUnknownAgent, RefusedCredentialRevoked, or "" (any other code is "")
	ServerTime time.Time
}

func (e *RelayRefusedError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("%v (status %d)", ErrRelayRefused, e.Status)
	}
	return fmt.Sprintf("%v (status %d, %s)", ErrRelayRefused, e.Status, e.Code)
}

// Is reports that target is ErrRelayRefused.
func (e *RelayRefusedError) Is(target error) bool { return target == ErrRelayRefused }

// RelayBusyError is a handshake that was answered with 429 or 503.
type RelayBusyError struct {
	Status int
	// RetryAfter is the Retry-After header as it was sent; empty if there was
	// none. It is no part of the error's text.
	RetryAfter string
	ServerTime time.Time // the answer's Date header; zero if there was none
}

func (e *RelayBusyError) Error() string {
	return fmt.Sprintf("it answered %d: it is busy", e.Status)
}
