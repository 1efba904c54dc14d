package cert

import (
	"encoding/binary"
	"time"
)

// RenewAt is the instant from which a certificate is due for renewal: the
// earlier of two thirds of its lifetime and (notAfter − threshold), the latter
// ignored where the threshold exceeds a third of the lifetime; then moved
// earlier by up to a tenth of the lifetime, by a share that the fingerprint
// (SHA-256 of the certificate) gives. So a fleet enrolled in one minute does
// not renew in one minute, and a restart changes nothing.
//
// The result is within [17/30, 2/3] of the lifetime. A lifetime beyond 292
// years (time.Duration) counts as that; one of none gives notAfter.
func RenewAt(notBefore, notAfter time.Time, fingerprint [32]byte, threshold time.Duration) time.Time {
	lifetime := notAfter.Sub(notBefore)
	if lifetime <= 0 {
		return notAfter
	}
	due := notBefore.Add(lifetime / 3 * 2)
	if threshold <= lifetime/3 {
		if early := notAfter.Add(-threshold); early.Before(due) {
			due = early
		}
	}
	share := float64(binary.BigEndian.Uint64(fingerprint[:8])>>11) / (1 << 53) // the 53 bits that a float64 holds, in [0,1)
	return due.Add(-time.Duration(share * float64(lifetime) / 10))
}
