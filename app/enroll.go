package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/muster-agent/muster/app/internal/issue"
	"github.com/muster-agent/muster/app/internal/site"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// EnrollOptions are what a person may ask of Enroll.
type EnrollOptions struct {
	// Force enrolls again although there is a key.
	Force bool
	// Wait is how long an operator's decision is awaited. It bounds the
	// waiting, not an attempt: 0 is to ask once.
	Wait time.Duration
	// Patient: what fails for a passing reason is tried for as long as Wait,
	// too.
	Patient bool
	// Say prints one line for the person. With two enrollments it is called by
	// both at the same time.
	Say func(line string)
}

// person is an enroll command: the agent that does it, and who waits for it.
type person struct {
	*Agent
	EnrollOptions
	limited context.Context // ends with the person's patience, too
	tries   int             // that failed for a passing reason
}

// Enroll enrolls, then returns: it neither connects nor listens. It tells the
// person what happens.
func Enroll(ctx context.Context, d Deps, o EnrollOptions) exitcode.Code {
	a := New(d)
	// Without its key a site enrollment may be done already.
	wantsSite := d.Site != nil || d.Settings.ServerURL != nil && d.Settings.SiteCode != ""
	if !wantsSite && d.Issuer == nil {
		o.Say("No enrollment is configured: " + enrollment.MissingForSite(d.Settings) + ", or MUSTER_MANAGER_URL.")
		return exitcode.OfEnroll(exitcode.NotAllowed)
	}
	if err := a.identity.Settle(ctx); err != nil {
		o.Say(err.Error())
		return exitcode.OfEnroll(exitcode.NotAllowed)
	}
	limited, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	var atSite, atIssuer exitcode.End
	var both sync.WaitGroup
	if wantsSite {
		both.Go(func() { atSite = (&person{Agent: a, EnrollOptions: o, limited: limited}).enrollAtSite(ctx) })
	}
	if d.Issuer != nil {
		both.Go(func() { atIssuer = (&person{Agent: a, EnrollOptions: o, limited: limited}).enrollAtIssuer(ctx) })
	}
	both.Wait()
	return exitcode.OfEnroll(atSite, atIssuer)
}

// timeIsUp is the last line of a command that ends before its enrollment.
const timeIsUp = "The wait is over: running this again, or 'muster run', goes on from here."

// givenUp counts a failure of a passing reason, and reports whether it was the
// last that the person has patience for.
func (p *person) givenUp() bool {
	p.tries++
	if p.tries < retry.PersonTries || p.Patient {
		return false
	}
	p.Say(fmt.Sprintf("Given up after %d tries. 'muster run' would go on; --wait DURATION tries for longer.", p.tries))
	return true
}

// ended is the end of an enrollment that ran out of time or was told to stop.
func (p *person) ended(ctx context.Context, pending bool) exitcode.End {
	p.Say(timeIsUp)
	switch {
	case pending:
		return exitcode.Undecided
	case ctx.Err() != nil:
		return exitcode.Cancelled
	default:
		return exitcode.Failed
	}
}

// sleep waits for as long as the person has patience.
func (p *person) sleep(d time.Duration) error {
	return wait.Sleep(p.limited, p.deps.Wall, d, nil)
}

// enrollAtIssuer gets this host a certificate. ctx ends when the command is told
// to stop.
func (p *person) enrollAtIssuer(ctx context.Context) exitcode.End {
	p.Say("Asking " + p.issue.Name() + " for a certificate for this host.")
	for {
		attempt, cancel := wait.Attempt(ctx, p.limited)
		result := p.issue.Reconcile(attempt, p.Force, retry.Person)
		interrupted := attempt.Err() != nil
		cancel()
		told, pause := issue.Told(result), issue.Wait(result)
		switch {
		case told.End == ports.RenewDone:
			p.Say(told.Line)
			return exitcode.Done
		case interrupted:
			return p.ended(ctx, p.issue.Pending())
		}
		switch r := result.(type) {
		case issue.Registered:
			p.Say(told.Line)
			continue // the first question is part of the same attempt
		case issue.Awaited:
			switch {
			case r.RoundOver:
				p.Say(told.Line)
				p.Say("The polls are used up; running this again goes on with the same registration.")
				return exitcode.Undecided
			case p.limited.Err() != nil:
				p.Say(told.Line)
			default:
				p.Say(fmt.Sprintf("%s Asking again in %s.", told.Line, retry.Text(pause)))
			}
		case issue.HeldBack:
			p.Say(fmt.Sprintf("%s Asking in %s.", told.Line, retry.Text(pause)))
		case issue.Failed:
			p.Say(told.Line)
			if enrollment.NeedsOperator(r.Told.State) {
				return exitcode.Refused
			}
			if p.givenUp() {
				return exitcode.Failed
			}
			p.sayRetry(pause)
		case issue.NotYetValid:
			p.Say(told.Line)
			if p.givenUp() {
				return exitcode.Failed
			}
			p.sayRetry(pause)
		case issue.Valid, issue.Installed, issue.ByHand, issue.Stopped: // done or interrupted, as said above
		}
		if p.sleep(pause) != nil {
			return p.ended(ctx, p.issue.Pending())
		}
	}
}

// sayRetry says when the next attempt is, if there is one.
func (p *person) sayRetry(pause time.Duration) {
	if p.limited.Err() == nil {
		p.Say(fmt.Sprintf("Trying again in %s.", retry.Text(pause)))
	}
}

// enrollAtSite gets this machine an API key. ctx ends when the command is told
// to stop.
func (p *person) enrollAtSite(ctx context.Context) exitcode.End {
	found, cred, err := p.site.Find(ctx)
	set := p.deps.Settings
	switch credential.Decide(found) {
	case credential.UseStored:
		if !p.Force {
			again := "--force enrolls it again"
			if p.deps.Site == nil {
				again = "without the enrollment key it cannot be enrolled again"
			}
			p.Say(fmt.Sprintf("This machine is enrolled at %s, site %s. Nothing to do; %s.", cred.ServerURL, cred.SiteCode, again))
			p.site.ForgetKey(ctx)
			return exitcode.Done
		}
	case credential.Enroll, credential.EnrollKeepingOld:
	case credential.BlockedUnreadable, credential.BlockedNewer:
		p.Say(err.Error())
		return exitcode.NotAllowed
	case credential.NeedKey, credential.UseLegacy, credential.NotConfigured:
	}
	if p.deps.Site == nil {
		p.Say("This machine cannot be enrolled at a site: " + enrollment.MissingForSite(set) + ".")
		return exitcode.NotAllowed
	}
	pending := func() bool { return p.tracker.Snapshot().Site.State == ports.SiteStatePending }
	server := set.ServerURL.Host
	if pause := p.site.HeldBack(ctx, retry.Person); pause > 0 {
		p.Say(fmt.Sprintf("%s asked not to be called for another %s: waiting.", server, retry.Text(pause)))
		if p.sleep(pause) != nil {
			return p.ended(ctx, pending())
		}
	}
	for {
		p.Say(fmt.Sprintf("Asking %s for a key for this machine, site %s.", server, set.SiteCode))
		attempt, cancel := wait.Attempt(ctx, p.limited)
		result := p.site.Attempt(attempt, ports.Transient)
		interrupted := attempt.Err() != nil
		cancel()
		switch r := result.(type) {
		case site.Stored:
			p.Say("Enrolled: the key is stored.")
			return exitcode.Done
		case site.Unsaved:
			return p.store(ctx, r.Credential) // it comes once, however long that takes
		case site.Stopped:
			return p.ended(ctx, pending())
		case site.Failed:
			if interrupted {
				return p.ended(ctx, pending())
			}
			p.Say(issue.Sentence(r.Advice))
			if r.Pause.Class == ports.Operator {
				return exitcode.Refused
			}
			if r.Pause.Class == ports.Transient && p.givenUp() {
				return exitcode.Failed
			}
			p.sayRetry(r.Pause.Wait)
			if p.sleep(r.Pause.Wait) != nil {
				return p.ended(ctx, pending())
			}
		}
	}
}

// store tries to store a key that the server gave.
func (p *person) store(ctx context.Context, cred ports.Credential) exitcode.End {
	for try := 1; try <= retry.PersonTries; try++ {
		pause := p.attempts.Local(try).Wait
		p.Say(fmt.Sprintf("The server gave a key, but it could not be stored. Trying again in %s.", retry.Text(pause)))
		if wait.Sleep(ctx, p.deps.Wall, pause, nil) != nil {
			break
		}
		err := p.site.Store(ctx, cred)
		if err == nil {
			p.Say("Enrolled: the key is stored.")
			return exitcode.Done
		}
		p.Say(issue.Sentence(err.Error()))
	}
	p.Say("The key is lost with this command; the server gives another at the next enrollment.")
	return exitcode.Failed
}
