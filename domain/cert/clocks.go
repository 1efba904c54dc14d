package cert

import (
	"fmt"
	"time"

	"github.com/muster-agent/muster/ports"
)

// clocks are an instant by two clocks, which may agree.
type clocks struct{ early, late time.Time }

func (o Options) clocks(now time.Time) clocks {
	switch {
	case o.OtherClock.IsZero():
		return clocks{now, now}
	case o.OtherClock.Before(now):
		return clocks{o.OtherClock, now}
	}
	return clocks{now, o.OtherClock}
}

// past reports whether t is over by both clocks. The instant of an end is
// still within (RFC 5280, section 4.1.2.5).
func (c clocks) past(t time.Time) bool { return t.Before(c.early) }

// future reports whether t is yet to come by both clocks.
func (c clocks) future(t time.Time) bool { return t.After(c.late) }

// come reports whether t has come by both clocks.
func (c clocks) come(t time.Time) bool { return !t.After(c.early) }

// of is what the dates of a certificate say against it.
func (c clocks) of(l located) []Problem {
	switch {
	case c.future(l.NotBefore):
		return []Problem{{
			Status: ports.CertNotYetValid, Path: l.path, begins: l.NotBefore,
			Text: fmt.Sprintf("%s in %s is not valid before %s", name(l), l.path, date(l.NotBefore)),
		}}
	case c.past(l.NotAfter):
		return []Problem{{
			Status: ports.CertExpired, Path: l.path,
			Text: fmt.Sprintf("%s in %s expired on %s", name(l), l.path, date(l.NotAfter)),
		}}
	}
	return nil
}

// ofAnchors is what the dates of the CA's file say against it where no chain
// says which of its certificates counts: nothing as long as one is within its
// dates.
func (c clocks) ofAnchors(anchors []located) []Problem {
	var problems []Problem
	for _, a := range anchors {
		wrong := c.of(a)
		if wrong == nil {
			return nil
		}
		problems = append(problems, wrong...)
	}
	return problems
}

// nearlyBegun reports whether waiting less than an hour heals all problems.
func (c clocks) nearlyBegun(problems []Problem) bool {
	for _, p := range problems {
		if p.Status != ports.CertNotYetValid || p.begins.Sub(c.late) >= clockTolerance {
			return false
		}
	}
	return len(problems) > 0
}
