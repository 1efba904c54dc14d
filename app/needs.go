package app

import (
	"strings"

	"github.com/muster-agent/muster/ports"
)

// needs is what a site enrollment lacks, as advice.
func needs(s ports.Settings) string {
	var missing []string
	// A server alone is configured only with the shared key; else it is the one
	// that the stored key names.
	if s.ServerURL == nil || s.SiteCode == "" && s.APIKey.Empty() {
		missing = append(missing, "MUSTER_SERVER_URL")
	}
	if s.SiteCode == "" {
		missing = append(missing, "MUSTER_SITE_CODE")
	}
	switch {
	case !s.EnrollmentKey.Empty():
	case len(missing) == 0:
		return "the enrollment key is missing: set MUSTER_ENROLLMENT_KEY, or put the key into the file that MUSTER_ENROLLMENT_KEY_FILE names"
	default:
		missing = append(missing, "MUSTER_ENROLLMENT_KEY")
	}
	last := len(missing) - 1
	if last <= 0 {
		return "set " + strings.Join(missing, "")
	}
	return "set " + strings.Join(missing[:last], ", ") + " and " + missing[last]
}
