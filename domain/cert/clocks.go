package cert

import (
	"fmt"
	"time"

	"github.com/muster-agent/muster/ports"
)

// clocks is one instant as two clocks show it, ours and a server's. early and
// late are equal where no server's clock differs.
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

// past reports whether t is past by both clocks. A certificate is still valid
// at the very instant of its end (RFC 5280, section 4.1.2.5).
func (c clocks) past(t time.Time) bool { return t.Before(c.early) }

// future reports whether t is in the future by both clocks.
func (c clocks) future(t time.Time) bool { return t.After(c.late) }

// reached reports whether both clocks have reached t.
func (c clocks) reached(t time.Time) bool { return !t.After(c.early) }

// of returns the problem with a certificate's dates, if they have one.
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

// ofAnchors returns the problems with the dates of the CA's file, for when no
// chain says which of its certificates counts: none, as long as one of them is
// within its dates.
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

// nearlyBegun reports whether there are problems and all of them pass by
// themselves in less than an hour.
func (c clocks) nearlyBegun(problems []Problem) bool {
	for _, p := range problems {
		if p.Status != ports.CertNotYetValid || p.begins.Sub(c.late) >= clockTolerance {
			return false
		}
	}
	return len(problems) > 0
}
