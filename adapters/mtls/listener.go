package mtls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/muster-agent/muster/ports"
)

// The bounds of what a client may take. A client that has not yet proven itself
// holds its place for clientTimeout at most.
const (
	// clientTimeout bounds a handshake, then a request's header and body, then
	// writing its answer. Each takes milliseconds; it is the connect timeout
	// of docs/PROTOCOLS.md, "Rules for every request".
	clientTimeout = 10 * time.Second
	// idleTimeout is how long a connection waits for its next request: longer
	// than the minute at which monitoring asks.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes bounds a request's header: a probe's has 200 bytes.
	maxHeaderBytes = 8 << 10
	// maxConnections bounds the memory of all clients together: 10 MiB, at about
	// 40 KiB for a TLS connection. Further clients wait in the system's queue.
	maxConnections = 256
	// shutdownTimeout is how long answers under way may take when the listener
	// ends; the rest of the second that ports.Listener allows is for cutting
	// those that are left.
	shutdownTimeout = 700 * time.Millisecond
)

// Options are what a Listener is made from. Only Holder is needed.
type Options struct {
	Holder *Holder
	// Environ is the process's environment, "NAME=value" each, by which systemd
	// names the sockets that it has opened (sd_listen_fds(3)). If there are any,
	// a Listener serves the only one, or that with FileDescriptorName=mtls,
	// whatever the address.
	Environ []string
	// Log gets the mistakes of clients, at level debug.
	Log *slog.Logger
	// Root is where proc is looked for, to find out who holds an address; empty
	// for the real one.
	Root string
}

// Listener implements ports.Listener.
type Listener struct {
	holder    *Holder
	inherited inherited
	log       *slog.Logger
	root      string
}

var _ ports.Listener = (*Listener)(nil)

// NewListener returns a listener that serves with what o.Holder holds.
func NewListener(o Options) *Listener {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Root == "" {
		o.Root = "/"
	}
	return &Listener{o.Holder, inheritedFrom(o.Environ), o.Log, o.Root}
}

// Serve implements ports.Listener.
func (l *Listener) Serve(ctx context.Context, addr string, health func() ports.Health, opened func(addr string)) error {
	listener, err := l.open(ctx, addr)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	server := &http.Server{
		Handler:           handler(health),
		ReadHeaderTimeout: clientTimeout, // bounds the handshake too
		ReadTimeout:       clientTimeout,
		WriteTimeout:      clientTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		shutdown(server)
	})
	opened(listener.Addr().String())
	err = server.Serve(tls.NewListener(limitConnections(listener, maxConnections), &tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: l.holder.configForClient,
	}))
	if !stop() {
		<-stopped
		return nil
	}
	_ = server.Close() // its listener has failed already
	return fmt.Errorf("serving mTLS on %s ended: %w", addr, err)
}

func shutdown(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close() // cuts what did not end in time
	}
}

// open opens addr, or takes a socket that systemd has opened.
func (l *Listener) open(ctx context.Context, addr string) (net.Listener, error) {
	if l.inherited.any() {
		return l.inherited.listen()
	}
	config := net.ListenConfig{Control: exclusive}
	listener, err := config.Listen(ctx, "tcp", addr)
	if err == nil {
		return listener, nil
	}
	failed, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return nil, fmt.Errorf("listening on %s: %w: check MUSTER_LISTEN_ADDR", addr, err)
	}
	if isAddressInUse(err) {
		inUse := &ports.AddressInUseError{Addr: addr}
		if tcp, ok := failed.Addr.(*net.TCPAddr); ok {
			inUse.PID, inUse.Process = holderOf(l.root, tcp.AddrPort())
		}
		return nil, inUse
	}
	advice := "check MUSTER_LISTEN_ADDR"
	if errors.Is(err, fs.ErrPermission) {
		advice = "a port below 1024 needs root or CAP_NET_BIND_SERVICE: grant it, or set MUSTER_LISTEN_ADDR to a higher one"
	}
	return nil, fmt.Errorf("listening on %s: %w: %s", addr, failed.Err, advice)
}
