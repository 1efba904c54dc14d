package ports

import "time"

// Answer is what a server said, and what came with it.
type Answer[O any] struct {
	Outcome O // never nil
	// ServerTime is the answer's Date header; zero if there was none.
	ServerTime time.Time
	// RetryAfter is the Retry-After header of a 202, 429 or 503 as it was
	// sent; empty otherwise.
	RetryAfter string
}
