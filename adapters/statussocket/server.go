package statussocket

import (
	"bufio"
	"context"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Server implements ports.StatusServer. Who may serve a state directory is
// decided by its process lock.
type Server struct{ dir string }

// NewServer serves the callers of a state directory.
func NewServer(dir string) *Server { return &Server{dir: dir} }

// answer serves one caller. There is nobody to report an error to: the caller
// sees that the connection broke.
func answer(ctx context.Context, c conn, calls ports.LocalCalls) {
	if err := c.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return
	}
	question, err := bufio.NewReaderSize(c, 64).ReadSlice('\n')
	if err != nil {
		return
	}
	switch string(question) {
	case askStatus:
		_, _ = c.Write(Encode(calls.Status()))
	case askRenewal:
		if err := c.SetDeadline(time.Time{}); err != nil { // a renewal takes as long as the manager
			return
		}
		result, err := calls.RenewCertificates(ctx)
		if err != nil {
			return
		}
		_, _ = c.Write(encodeRenewal(result))
	}
}
