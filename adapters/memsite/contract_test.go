package memsite

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.SiteEnroller(t, func(_ *testing.T, script contracttest.SiteScript) contracttest.SiteServer {
		e := new(Enroller)
		if script.Hang {
			e.Answer = Silent
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
