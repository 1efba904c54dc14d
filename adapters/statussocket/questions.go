package statussocket

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/muster-agent/muster/ports"
)

// answerWithin bounds an exchange: an agent that does not answer within this
// time is "not answering" (docs/SPEC.md, "Status").
const answerWithin = 2 * time.Second

// renewWithin bounds a renewal: two requests of 30 s to the manager, and the
// disk.
const renewWithin = 2 * time.Minute

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// The questions on the wire. Each is a line and is answered by a line of JSON.
const (
	askStatus  = "status\n"
	askRenewal = "renew-certs\n"
)

// conn is a connection between an agent and a caller.
type conn interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// exchange sends a question and reads the answer, a line.
func exchange(c conn, question string, within time.Duration) ([]byte, error) {
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, question); err != nil {
		return nil, err
	}
	answer, err := bufio.NewReader(io.LimitReader(c, maxAnswer)).ReadBytes('\n')
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return answer, err
}

type renewalJSON struct {
	Code int    `json:"code"`
	Line string `json:"line"`
}

// renewCodes are the ends of a renewal as the wire has them.
var renewCodes = map[ports.RenewEnd]int{ports.RenewDone: 0, ports.RenewFailed: 1, ports.RenewPending: 2}

func encodeRenewal(r ports.RenewResult) []byte {
	code, known := renewCodes[r.End]
	if !known {
		code = renewCodes[ports.RenewFailed]
	}
	line, err := json.Marshal(renewalJSON{code, r.Line})
	if err != nil { // a number and a string always encode
		return nil
	}
	return append(line, '\n')
}

func decodeRenewal(line []byte) (ports.RenewResult, error) {
	var j renewalJSON
	if err := json.Unmarshal(line, &j); err != nil {
		return ports.RenewResult{}, fmt.Errorf("the agent's answer cannot be read: %w", err)
	}
	for end, code := range renewCodes {
		if code == j.Code {
			return ports.RenewResult{End: end, Line: j.Line}, nil
		}
	}
	return ports.RenewResult{}, fmt.Errorf("the agent's answer cannot be read: there is no code %d", j.Code)
}
