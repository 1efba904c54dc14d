package systemd

import (
	"time"

	"golang.org/x/sys/unix"
)

func monotonic() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil { // there is such a clock on every Linux
		return 0
	}
	return time.Duration(now.Nano())
}
