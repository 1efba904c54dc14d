package fakeserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Fault is a misbehaviour on purpose. Each request meets at most one: the
// first that was added, matches, and is not used up.
type Fault struct {
	Match FaultMatch
	// Times is how many requests it is for. Zero: all, until ClearFaults.
	Times  int
	Action FaultAction
}

// FaultMatch says which requests a fault is for. Requests below /_fake/ never
// meet one.
type FaultMatch struct {
	// Method is an HTTP method; empty for all.
	Method string
	// Path is a path without query. One that ends in "/" stands for every
	// path below it, as in http.ServeMux; any other for itself alone. Empty
	// for all.
	Path string
}

// FaultAction is what happens in place of, or to, the real answer. At least
// one field must be set.
type FaultAction struct {
	// Status answers with this status, 200 to 599, and Body; the server does
	// not do what it was asked to. Zero: it does, and the fields below change
	// its real answer.
	Status int
	// Headers are set in the answer; "Date" shifts the clock that the client
	// sees. The relay's 101 takes them too.
	Headers map[string]string
	// Body replaces the answer's body unless empty.
	Body string
	// Delay passes before anything else happens.
	Delay time.Duration
	// Drop cuts the connection.
	Drop Drop
	// Corrupt flips the top bit of every eighth byte of the answer's body,
	// the first included, so that no JSON or PEM is left in it. In the
	// relay's 101 it spoils Sec-WebSocket-Accept.
	Corrupt bool
	// Handler takes the request over, for what the fields above cannot say
	// (a body that never ends). Delay and a Drop before the response come
	// first, all else is ignored. There is no JSON for it.
	Handler http.Handler
}

// Drop says when a connection is cut.
type Drop string

// When a connection is cut.
const (
	// DropNever: not at all.
	DropNever Drop = ""
	// DropBeforeResponse: the request was read; nothing is done, nothing
	// answered.
	DropBeforeResponse Drop = "before_response"
	// DropMidBody: after the header and half of the body. The relay's
	// connection is accepted and cut at once.
	DropMidBody Drop = "mid_body"
	// DropAfterCommit: the server did what it was asked to; nothing is
	// answered.
	DropAfterCommit Drop = "after_commit"
)

// fault is a Fault in force.
type fault struct {
	Fault
	used int
}

// AddFault puts a fault in force, after those that are.
func (s *Server) AddFault(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	s.ready()
	s.mu.Lock()
	defer s.unlock()
	s.faults = append(s.faults, &fault{Fault: f})
	return nil
}

// ClearFaults lifts all faults. Requests that a delay holds up go on with
// theirs.
func (s *Server) ClearFaults() {
	s.ready()
	s.mu.Lock()
	defer s.unlock()
	s.faults = nil
}

// SetFaults puts these faults in force in place of all others, in one step: no
// request in between meets a server without faults.
func (s *Server) SetFaults(faults []Fault) error {
	next := make([]*fault, 0, len(faults))
	for i, f := range faults {
		if err := f.check(); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
		next = append(next, &fault{Fault: f})
	}
	s.ready()
	s.mu.Lock()
	defer s.unlock()
	s.faults = next
	return nil
}

// takeFault uses up one time of the first fault that matches. If none does, the
// action does nothing.
func (s *Server) takeFault(method, path string) (action FaultAction, found bool) {
	s.mu.Lock()
	defer s.unlock()
	for _, f := range s.faults {
		if (f.Times == 0 || f.used < f.Times) && f.Match.matches(method, path) {
			f.used++
			return f.Action, true
		}
	}
	return FaultAction{}, false
}

func (m FaultMatch) matches(method, path string) bool {
	if m.Method != "" && m.Method != method {
		return false
	}
	if strings.HasSuffix(m.Path, "/") {
		return strings.HasPrefix(path, m.Path)
	}
	return m.Path == "" || m.Path == path
}

func (f Fault) check() error {
	a := f.Action
	switch {
	case f.Match.Method != strings.ToUpper(f.Match.Method):
		return errors.New("match.method is not in capitals")
	case f.Match.Path != "" && !strings.HasPrefix(f.Match.Path, "/"):
		return errors.New("match.path does not begin with /")
	case isControl(f.Match.Path):
		return errors.New("match.path: faults do not touch /_fake/")
	case f.Times < 0:
		return errors.New("times is negative")
	case a.Status != 0 && (a.Status < 200 || a.Status > 599):
		return errors.New("action.status is not within 200 and 599")
	case a.Delay < 0:
		return errors.New("action.delay is negative")
	case a.Drop == DropAfterCommit && a.Status != 0:
		return errors.New("action.drop after_commit and action.status exclude each other: a fault with a status commits nothing")
	case a.Status == 0 && len(a.Headers) == 0 && a.Body == "" && a.Delay == 0 && a.Drop == DropNever && !a.Corrupt && a.Handler == nil:
		return errors.New("action does nothing")
	}
	switch a.Drop {
	case DropNever, DropBeforeResponse, DropMidBody, DropAfterCommit:
		return nil
	default:
		return fmt.Errorf("action.drop is %.40q: it may be before_response, mid_body or after_commit", a.Drop)
	}
}

// parseFaults reads the JSON of PUT /_fake/faults, a list of faults.
func parseFaults(data []byte) ([]Fault, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil || list == nil {
		return nil, errors.New("the body is not a list of faults")
	}
	faults := make([]Fault, 0, len(list))
	for i, one := range list {
		f, err := parseFault(one)
		if err != nil {
			return nil, fmt.Errorf("fault %d: %w", i+1, err)
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// parseFault reads the JSON of POST /_fake/faults.
func parseFault(data []byte) (Fault, error) {
	var f Fault
	o, err := parseObject(data)
	if err != nil {
		return f, err
	}
	match := o.inner("match")
	if match.has("method") {
		f.Match.Method = match.text("method")
	}
	if match.has("path") {
		f.Match.Path = match.text("path")
	}
	if o.has("times") {
		f.Times = int(o.count("times"))
	}
	action := o.inner("action")
	if action.has("status") {
		f.Action.Status = int(action.count("status"))
	}
	if action.has("headers") {
		f.Action.Headers = make(map[string]string)
		headers := action.inner("headers")
		for name := range headers.members {
			f.Action.Headers[name] = headers.text(name)
		}
	}
	if action.has("body") {
		f.Action.Body = action.text("body")
	}
	if action.has("delay") {
		f.Action.Delay, err = time.ParseDuration(action.text("delay"))
		action.require(err == nil, "delay", `is not a duration such as "1s"`)
	}
	if action.has("drop") {
		f.Action.Drop = Drop(action.text("drop"))
	}
	if action.has("corrupt") {
		f.Action.Corrupt = action.truth("corrupt")
	}
	for _, part := range []*object{match, action, o} {
		if err := part.end(); err != nil {
			return f, err
		}
	}
	return f, f.check()
}
