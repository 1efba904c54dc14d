//go:build unix

package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// listening is a socket as systemd's, and what came to it.
func listening(t *testing.T) (socket string, next func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") // short: a socket's address holds 107 bytes
	is.New(t).NoErr(err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	is.New(t).NoErr(err)
	t.Cleanup(func() { conn.Close() })
	messages := make(chan string, 1000)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			messages <- string(b[:n])
		}
	}()
	return socket, func() string {
		select {
		case m := <-messages:
			return m
		case <-time.After(time.Minute):
			return "nothing came"
		}
	}
}

func TestContract(t *testing.T) {
	contracttest.Supervisor(t, func(t *testing.T) ports.Supervisor {
		socket, _ := listening(t)
		return New([]string{"NOTIFY_SOCKET=" + socket})
	})
}

func TestWhatSystemdIsTold(t *testing.T) {
	is := is.New(t)
	socket, next := listening(t)
	n := New([]string{"PATH=/bin", "NOTIFY_SOCKET=" + socket})
	n.monotonic = func() time.Duration { return 42 * time.Second }
	is.NoErr(n.Ready())
	is.Equal(next(), "READY=1")
	is.NoErr(n.Status("waiting\nREADY=0"))
	is.Equal(next(), "STATUS=waiting READY=0") // one line
	is.NoErr(n.Status(strings.Repeat("é", 3000) + "\xff"))
	long := next()
	is.True(len(long) > 1000 && len(long) < 1100)
	is.True(utf8.ValidString(long) && strings.HasSuffix(long, "é…"))
	is.NoErr(n.Alive())
	is.Equal(next(), "WATCHDOG=1")
	is.NoErr(n.Reloading())
	is.Equal(next(), "RELOADING=1\nMONOTONIC_USEC=42000000")
	is.NoErr(n.Stopping())
	is.Equal(next(), "STOPPING=1")
}

func TestWithoutSystemdThereIsNobodyToTell(t *testing.T) {
	is := is.New(t)
	is.Equal(New(nil), nil)
	is.Equal(New([]string{"NOTIFY_SOCKET="}), nil)
	is.Equal(New([]string{"NOTIFY_SOCKET=relative"}), nil)
	err := New([]string{"NOTIFY_SOCKET=/nonexistent/s"}).Ready()
	is.True(err != nil && strings.Contains(err.Error(), "/nonexistent/s"))
}

func TestWatchdog(t *testing.T) {
	is := is.New(t)
	for usec, want := range map[string]time.Duration{"": 0, "x": 0, "-1": 0, "0": 0, "30000000": 15 * time.Second} {
		is.Equal(New([]string{"NOTIFY_SOCKET=/s", "WATCHDOG_USEC=" + usec}).WatchdogInterval(), want)
	}
	mine, other := fmt.Sprint(os.Getpid()), fmt.Sprint(os.Getpid()+1)
	is.Equal(New([]string{"NOTIFY_SOCKET=/s", "WATCHDOG_USEC=2000000", "WATCHDOG_PID=" + mine}).WatchdogInterval(), time.Second)
	is.Equal(New([]string{"NOTIFY_SOCKET=/s", "WATCHDOG_USEC=2000000", "WATCHDOG_PID=" + other}).WatchdogInterval(), time.Duration(0))
}
