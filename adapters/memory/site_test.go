package memory

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestZeroValue(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var e Site
	enroll := func(uid string) ports.SiteOutcome {
		return e.Enroll(t.Context(), ports.SiteRequest{MachineUID: uid}).Outcome
	}
	first := enroll("a").(ports.SiteEnrolledNew).Key
	is.True(e.Key("a").Equal(first))
	second := enroll("a").(ports.SiteEnrolledAgain).Key
	is.True(!second.Equal(first))
	is.True(e.Key("a").Equal(second))
	is.True(enroll("b").(ports.SiteEnrolledNew).Key.Equal(e.Key("b")))
	is.True(e.Key("c").Empty())
	is.True(len(first.Reveal()) >= 20)

	e.Script(ports.SiteRejected{Detail: "no"}, ports.SiteCollisionPending{})
	is.Equal(enroll("a"), ports.SiteRejected{Detail: "no"})
	is.Equal(enroll("a"), ports.SiteCollisionPending{})
	_, again := enroll("a").(ports.SiteEnrolledAgain)
	is.True(again) // the script is over
	is.Equal(len(e.Requests()), 6)
}

func TestSilentServerInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		e := Site{Answer: SilentSite}
		start := time.Now()
		answer := e.Enroll(t.Context(), ports.SiteRequest{})
		is.Equal(answer.Outcome, ports.SiteTransient{Reason: "enrolling failed: timed out"})
		is.Equal(time.Since(start), 30*time.Second)
		is.Equal(e.Requests()[0].At, start)
	})
}

func TestSiteContract(t *testing.T) {
	t.Parallel()
	contracttest.SiteEnroller(t, func(_ *testing.T, script contracttest.SiteScript) contracttest.SiteServer {
		e := new(Site)
		if script.Hang {
			e.Answer = SilentSite
		} else {
			if _, ok := script.Answer.Outcome.(ports.SiteTransient); ok {
				script.Answer.Outcome = ports.SiteTransient{Reason: "it answered 500"}
			}
			for range 8 {
				e.ScriptAnswers(script.Answer)
			}
		}
		return contracttest.SiteServer{Enroller: e, Requests: func() (out []ports.SiteRequest) {
			for _, r := range e.Requests() {
				out = append(out, r.SiteRequest)
			}
			return out
		}}
	})
}
