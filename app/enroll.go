package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

// personTries is how often a person's enroll command tries what fails for a
// passing reason (docs/SPEC.md, "Commands").
const personTries = 5

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

// Enroll enrolls, then returns: it neither connects nor listens. It tells the
// person what happens.
func (a *Agent) Enroll(ctx context.Context, o EnrollOptions) exitcode.Code {
	// Without its key a site enrollment may be done already.
	site := a.w.Site != nil || a.w.Settings.ServerURL != nil && a.w.Settings.SiteCode != ""
	if !site && a.manager == nil {
		o.Say("No enrollment is configured: " + needs(a.w.Settings) + ", or MUSTER_MANAGER_URL.")
		return exitcode.OfEnroll(exitcode.NotAllowed)
	}
	if err := a.establishIdentity(ctx); err != nil {
		o.Say(err.Error())
		return exitcode.OfEnroll(exitcode.NotAllowed)
	}
	limited, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	if a.manager == nil {
		return exitcode.OfEnroll(a.enrollSite(ctx, limited, o))
	}
	if !site {
		return exitcode.OfEnroll(a.enrollManager(ctx, limited, o))
	}
	var atSite, atManager exitcode.End
	var both sync.WaitGroup
	both.Go(func() { atSite = a.enrollSite(ctx, limited, o) })
	both.Go(func() { atManager = a.enrollManager(ctx, limited, o) })
	both.Wait()
	return exitcode.OfEnroll(atSite, atManager)
}

// oneAttempt is how long an attempt may take that began while the person was
// patient: two requests (a renewal that is not offered, then a registration)
// of 30 s each (docs/PROTOCOLS.md, "Rules for every request"), and time to
// store what they bring.
const oneAttempt = 90 * time.Second

// attempting is a context for one attempt. It ends with limited, but not
// before the attempt has had its time, unless ctx ends.
func attempting(ctx, limited context.Context) (context.Context, context.CancelFunc) {
	least := time.Now().Add(oneAttempt)
	if end, ok := limited.Deadline(); ok && end.After(least) {
		least = end
	}
	return context.WithDeadline(context.WithValue(ctx, toldKey{}, ctx), least)
}

type toldKey struct{}

// untilTold is ctx, or, of an attempt, the context that ends only when the
// command is told to stop.
func untilTold(ctx context.Context) context.Context {
	if told, ok := ctx.Value(toldKey{}).(context.Context); ok {
		return told
	}
	return ctx
}

// enrollManager enrolls at the manager; ctx and limited are as enrollSite's.
func (a *Agent) enrollManager(ctx, limited context.Context, o EnrollOptions) exitcode.End {
	host := a.manager.host()
	o.Say("Asking " + host + " for a certificate for this host.")
	for tries := 1; ; {
		attempt, cancel := attempting(ctx, limited)
		result, delay := a.care(attempt, o.Force, true)
		interrupted := attempt.Err() != nil
		cancel()
		switch st := a.board.snapshot().Manager; {
		case result.code == exitcode.Clean:
			o.Say(result.line)
			return exitcode.Done
		case interrupted:
			return a.endOfManager(ctx, o)
		case st.State == ports.ManagerStateDenied, st.State == ports.ManagerStateConflict, st.State == ports.ManagerStateUnexpected:
			o.Say(result.line)
			return exitcode.Refused
		case result.code == exitcode.InProgress && a.manager.roundOver:
			o.Say(result.line)
			o.Say("The polls are used up; running this again goes on with the same registration.")
			return exitcode.Undecided
		case result.held:
			o.Say(fmt.Sprintf("%s Asking in %v.", result.line, delay.Round(time.Millisecond)))
		case result.code == exitcode.InProgress && (delay <= 0 || limited.Err() != nil):
			o.Say(result.line)
		case result.code == exitcode.InProgress:
			o.Say(fmt.Sprintf("%s Asking again in %v.", result.line, delay.Round(time.Millisecond)))
		default:
			o.Say(result.line)
			if tries == personTries && !o.Patient {
				o.Say(fmt.Sprintf("Given up after %d tries. 'muster run' would go on; --wait DURATION tries for longer.", tries))
				return exitcode.Failed
			}
			tries++
			if limited.Err() == nil {
				o.Say(fmt.Sprintf("Trying again in %v.", delay.Round(time.Millisecond)))
			}
		}
		registered := result.code == exitcode.InProgress && delay <= 0 // the first poll is part of the same attempt
		if !registered && wait(limited, a.w.Wall, delay, nil) != nil {
			return a.endOfManager(ctx, o)
		}
	}
}

// endOfManager says how an enrollment ended that ran out of time or was told
// to stop.
func (a *Agent) endOfManager(ctx context.Context, o EnrollOptions) exitcode.End {
	o.Say(timeIsUp)
	switch {
	case !a.manager.pending.Token.Empty():
		return exitcode.Undecided
	case ctx.Err() != nil:
		return exitcode.Cancelled
	default:
		return exitcode.Failed
	}
}

// RenewCertificates checks the certificate and renews it if that is due, once;
// it never waits for an operator.
func (a *Agent) RenewCertificates(ctx context.Context, say func(string)) exitcode.Code {
	if a.manager == nil {
		result, _ := a.care(ctx, false, true)
		say(result.line)
		return result.code
	}
	if err := a.establishIdentity(ctx); err != nil {
		say(err.Error())
		return exitcode.Error
	}
	for tries := 1; ; tries++ {
		result, delay := a.care(ctx, false, true)
		say(result.line)
		st := a.board.snapshot().Manager
		if result.code != exitcode.Error || st.State != ports.ManagerStateRetrying || tries == personTries || ctx.Err() != nil {
			return result.code
		}
		say(fmt.Sprintf("Trying again in %v.", delay.Round(time.Millisecond)))
		if wait(ctx, a.w.Wall, delay, nil) != nil {
			return result.code
		}
	}
}

// enrollSite enrolls at the site's server. ctx ends when the command is told
// to stop, limited also when the person's patience ends.
func (a *Agent) enrollSite(ctx, limited context.Context, o EnrollOptions) exitcode.End {
	found, cred, err := a.site.find(ctx)
	switch credential.Decide(found) {
	case credential.UseStored:
		if !o.Force {
			again := "--force enrolls it again"
			if a.w.Site == nil {
				again = "without the enrollment key it cannot be enrolled again"
			}
			o.Say(fmt.Sprintf("This machine is enrolled at %s, site %s. Nothing to do; %s.", cred.ServerURL, cred.SiteCode, again))
			a.site.forget(ctx)
			return exitcode.Done
		}
	case credential.Enroll, credential.EnrollKeepingOld:
	case credential.BlockedUnreadable, credential.BlockedNewer:
		o.Say(err.Error())
		return exitcode.NotAllowed
	case credential.NeedKey, credential.UseLegacy, credential.NotConfigured:
	}
	if a.w.Site == nil {
		o.Say("This machine cannot be enrolled at a site: " + needs(a.w.Settings) + ".")
		return exitcode.NotAllowed
	}
	server := a.w.Settings.ServerURL.Host
	if pause := a.site.holdBack(ctx, true); pause > 0 {
		o.Say(fmt.Sprintf("%s asked not to be called for another %v: waiting.", server, pause.Round(time.Second)))
		if wait(limited, a.w.Wall, pause, nil) != nil {
			return a.endOf(ctx, o)
		}
	}
	for tries := 1; ; {
		o.Say(fmt.Sprintf("Asking %s for a key for this machine, site %s.", server, a.w.Settings.SiteCode))
		attempt, cancel := attempting(ctx, limited)
		done := a.site.attempt(attempt, ports.Transient)
		interrupted := attempt.Err() != nil
		cancel()
		switch {
		case done.stored:
			o.Say("Enrolled: the key is stored.")
			return exitcode.Done
		case done.unsaved != nil:
			return a.storeForPerson(ctx, *done.unsaved, o) // it comes once, however long that takes
		case interrupted:
			return a.endOf(ctx, o)
		}
		o.Say(capital(done.next.Advice) + ".")
		switch done.next.Class {
		case ports.Operator:
			return exitcode.Refused
		case ports.Transient:
			if tries == personTries && !o.Patient {
				o.Say(fmt.Sprintf("Given up after %d tries. 'muster run' would go on; --wait DURATION tries for longer.", tries))
				return exitcode.Failed
			}
			tries++
		case ports.Pending:
		}
		if limited.Err() == nil {
			o.Say(fmt.Sprintf("Trying again in %v.", done.wait.Round(time.Millisecond)))
		}
		if wait(limited, a.w.Wall, done.wait, nil) != nil {
			return a.endOf(ctx, o)
		}
	}
}

// timeIsUp is the last line of a command that ends before its enrollment.
const timeIsUp = "The wait is over: running this again, or 'muster run', goes on from here."

// endOf says how an enrollment ended that ran out of time or was told to
// stop.
func (a *Agent) endOf(ctx context.Context, o EnrollOptions) exitcode.End {
	o.Say(timeIsUp)
	switch {
	case a.board.snapshot().Site.State == ports.SiteStatePending:
		return exitcode.Undecided
	case ctx.Err() != nil:
		return exitcode.Cancelled
	default:
		return exitcode.Failed
	}
}

// storeForPerson tries to store a key that the server gave.
func (a *Agent) storeForPerson(ctx context.Context, cred ports.Credential, o EnrollOptions) exitcode.End {
	for try := 1; try <= personTries; try++ {
		delay := a.transientWait(try)
		o.Say(fmt.Sprintf("The server gave a key, but it could not be stored. Trying again in %v.", delay.Round(time.Millisecond)))
		if wait(ctx, a.w.Wall, delay, nil) != nil {
			break
		}
		err := a.site.store(ctx, cred)
		if err == nil {
			o.Say("Enrolled: the key is stored.")
			return exitcode.Done
		}
		o.Say(capital(err.Error()) + ".")
	}
	o.Say("The key is lost with this command; the server gives another at the next enrollment.")
	return exitcode.Failed
}

// capital begins a sentence.
func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// ErrNeedsRights is the kind of error for a signal of the machine's identity
// that this process may not read.
var ErrNeedsRights = errors.New("this process may not read what tells this machine from others")
