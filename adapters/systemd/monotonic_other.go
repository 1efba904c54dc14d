//go:build !linux

package systemd

import "time"

// monotonic is never asked for: there is no systemd.
func monotonic() time.Duration { return 0 }
