package mtls

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// socketName is the FileDescriptorName= of the listener's socket in a
// systemd.socket(5) unit that opens several.
const socketName = "mtls"

// inherited are the sockets that systemd has opened for this process
// (sd_listen_fds(3)): descriptors from 3 on.
type inherited struct {
	count int
	names []string
}

// inheritedFrom reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES. It ignores
// sockets that are meant for another process.
func inheritedFrom(environ []string) inherited {
	var pid, count, names string
	for _, entry := range environ {
		switch name, value, _ := strings.Cut(entry, "="); name {
		case "LISTEN_PID":
			pid = value
		case "LISTEN_FDS":
			count = value
		case "LISTEN_FDNAMES":
			names = value
		}
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return inherited{}
	}
	const most = 1024 // descriptors; systemd's own default limit
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > most {
		return inherited{}
	}
	return inherited{n, strings.Split(names, ":")}
}

func (i inherited) any() bool { return i.count > 0 }

// descriptor returns the descriptor of the listener's socket.
func (i inherited) descriptor() (int, error) {
	const first = 3 // SD_LISTEN_FDS_START
	if i.count == 1 {
		return first, nil
	}
	for n, name := range i.names[:min(len(i.names), i.count)] {
		if name == socketName {
			return first + n, nil
		}
	}
	return 0, fmt.Errorf("systemd has opened %d sockets and none is called %s: set FileDescriptorName=%s in the socket unit of the mTLS listener", i.count, socketName, socketName)
}

// listen opens a listener on the socket. It can be called again, since the socket
// itself stays open.
func (i inherited) listen() (net.Listener, error) {
	fd, err := i.descriptor()
	if err != nil {
		return nil, err
	}
	listener, err := listenOn(fd)
	if err != nil {
		return nil, fmt.Errorf("listening on the socket that systemd has opened (descriptor %d): %w: check the socket unit's ListenStream=", fd, err)
	}
	return listener, nil
}
