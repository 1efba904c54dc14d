package managerapi

import (
	"strings"

	"github.com/muster-agent/muster/ports"
)

// Interpret implements ports.ManagerEnroller. The server_key may be missing:
// whether it may be, only who knows of a CSR can tell.
func (c *Client) Interpret(body ports.Secret) ports.PollDecision {
	unreadable := func(wrong string) ports.PollDecision {
		return ports.DecisionUnreadable{Reason: "the decision of " + c.host + " " + wrong}
	}
	o, err := decode(body.Reveal())
	if err != nil {
		return unreadable(err.Error())
	}
	switch status := o.text("status"); status {
	case "pending":
		return ports.DecisionPending{}
	case "approved":
		bundle, err := o.bundle()
		if err != nil {
			return unreadable("is approved, but " + err.Error())
		}
		return ports.DecisionApproved{Bundle: bundle}
	case "denied":
		return ports.DecisionDenied{}
	case "notfound", "not_found": // servers say the first, their manual the second
		return ports.DecisionUnknown{}
	case "":
		return unreadable("holds no status")
	default:
		if isWord(status) {
			return unreadable("has the unknown status " + status)
		}
		return unreadable("has an unknown status")
	}
}

// isWord reports whether a status is worth quoting: it cannot be a secret.
func isWord(status string) bool {
	return len(status) <= 16 && strings.Trim(status, "abcdefghijklmnopqrstuvwxyz_") == ""
}
