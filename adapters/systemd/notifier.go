// Package systemd tells systemd how the agent stands, by the protocol of
// sd_notify(3).
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Notifier implements ports.Supervisor.
type Notifier struct {
	socket   string
	watchdog time.Duration
	// monotonic returns the time of CLOCK_MONOTONIC, for the message about a
	// reload.
	monotonic func() time.Duration
}

// sendWithin bounds one notification: if systemd is there, it reads its socket at
// once.
const sendWithin = time.Second

// feeds is how often the watchdog is fed within the time after which systemd gives
// up on the agent (sd_watchdog_enabled(3) recommends twice).
const feeds = 2

// New returns a notifier by the process's environment, "NAME=value" each; nil if
// no systemd asks for notifications.
func New(environ []string) *Notifier {
	value := func(name string) string {
		for _, entry := range environ {
			if n, v, _ := strings.Cut(entry, "="); n == name {
				return v
			}
		}
		return ""
	}
	socket := value("NOTIFY_SOCKET")
	if !strings.HasPrefix(socket, "/") && !strings.HasPrefix(socket, "@") {
		return nil
	}
	n := &Notifier{socket: socket, monotonic: monotonic}
	if pid := value("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if usec, err := strconv.ParseInt(value("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
			n.watchdog = time.Duration(usec) * time.Microsecond / feeds
		}
	}
	return n
}

// Ready implements ports.Supervisor.
func (n *Notifier) Ready() error { return n.send("READY=1") }

// maxStatus bounds a status, in bytes: systemd drops a message of more than 4096
// (PIPE_BUF), and nobody reads so long a line.
const maxStatus = 1024

// Status implements ports.Supervisor. A text that is too long is cut.
func (n *Notifier) Status(text string) error {
	text = strings.NewReplacer("\n", " ", "\r", " ").Replace(text)
	if len(text) > maxStatus {
		text = text[:maxStatus-len("…")] + "…"
	}
	return n.send("STATUS=" + strings.ToValidUTF8(text, "")) // systemd drops what is no UTF-8
}

// Reloading implements ports.Supervisor.
func (n *Notifier) Reloading() error {
	return n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", n.monotonic().Microseconds()))
}

// Stopping implements ports.Supervisor.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Alive implements ports.Supervisor.
func (n *Notifier) Alive() error { return n.send("WATCHDOG=1") }

// WatchdogInterval implements ports.Supervisor.
func (n *Notifier) WatchdogInterval() time.Duration { return n.watchdog }

func (n *Notifier) send(message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling systemd at %s: %w", n.socket, err)
	}
	err = conn.SetWriteDeadline(time.Now().Add(sendWithin))
	if err == nil {
		_, err = conn.Write([]byte(message))
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("telling systemd at %s: %w", n.socket, err)
	}
	return nil
}
