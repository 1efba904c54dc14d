package managerapi

import (
	"net/http"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// Interpret implements ports.CertificateIssuer. The server_key may be missing:
// whether it may be, only who knows of a CSR can tell.
func (c *Client) Interpret(r ports.Received) ports.IssueDecision {
	o, err := decode(r.Raw.Reveal())
	if r.Renewal {
		return c.interpretRenewal(o, err)
	}
	unreadable := func(wrong string) ports.IssueDecision {
		return ports.IssueUnreadable{Reason: "the decision of " + c.host + " " + wrong}
	}
	if err != nil {
		return unreadable(err.Error())
	}
	switch status := o.text("status"); status {
	case "pending":
		return ports.IssuePending{}
	case "approved":
		bundle, err := o.bundle()
		if err != nil {
			return unreadable("is approved, but " + err.Error())
		}
		return ports.Issued{Bundle: bundle}
	case "denied":
		return ports.IssueDenied{}
	case "notfound", "not_found": // servers say the first, their manual the second
		return ports.IssueUnknown{}
	case "":
		return unreadable("holds no status")
	default:
		if isWord(status) {
			return unreadable("has the unknown status " + status)
		}
		return unreadable("has an unknown status")
	}
}

// interpretRenewal reads the answer to a renewal, which has no status.
func (c *Client) interpretRenewal(o object, err error) ports.IssueDecision {
	var bundle ports.Bundle
	if err == nil {
		bundle, err = o.bundle()
	}
	if err != nil {
		return ports.IssueUnreadable{Reason: reply{doing: c.renewing(), status: http.StatusOK}.reason(err.Error())}
	}
	return ports.Issued{Bundle: bundle}
}

// isWord reports whether a status is worth quoting: it cannot be a secret.
func isWord(status string) bool {
	return len(status) <= 16 && strings.Trim(status, "abcdefghijklmnopqrstuvwxyz_") == ""
}
