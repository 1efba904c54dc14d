package retry

import (
	"strconv"
	"strings"
	"time"
)

// retryAfterMost is the longest wait that a capped Retry-After with its jitter
// comes to.
const retryAfterMost = retryAfterCap + retryAfterCap/10 + time.Second

// ParseRetryAfter reads a Retry-After header (RFC 9110, section 10.2.3): a
// number of seconds, or an HTTP date, which is compared with the server's own
// time. It returns a duration in (0, retryAfterCap], or 0 for a header to be
// ignored: zero, negative, past or unparsable.
func ParseRetryAfter(header string, serverNow time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	if digitsOnly(header) {
		seconds, err := strconv.ParseUint(header, 10, 63)
		if err != nil || seconds > uint64(retryAfterCap/time.Second) { // out of range is longer than the cap
			return retryAfterCap
		}
		return time.Duration(seconds) * time.Second
	}
	// The three forms of an HTTP-date (RFC 9110, section 5.6.7).
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} {
		if at, err := time.Parse(layout, header); err == nil {
			return min(max(at.Sub(serverNow), 0), retryAfterCap)
		}
	}
	return 0
}

func digitsOnly(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// After is the wait that honours a parsed Retry-After: the greater of the
// class's wait and R + uniform(0, 0.1·R + 1 s), with u in [0,1). A zero
// retryAfter leaves wait as it is.
func After(wait, retryAfter time.Duration, u float64) time.Duration {
	if retryAfter <= 0 {
		return wait
	}
	retryAfter = min(retryAfter, retryAfterCap)
	return max(wait, between(float64(retryAfter), 1.1*float64(retryAfter)+float64(time.Second), u))
}
