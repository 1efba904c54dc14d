package health

import (
	"time"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

// notConfigured is the status of a machine for which nothing is configured.
func notConfigured(version, hostname string) ports.Status {
	return ports.Status{
		Version: version, Hostname: hostname,
		Site:        ports.SiteStatus{State: ports.SiteStateNotConfigured},
		Issuer:      ports.IssuerStatus{State: ports.IssuerStateNotConfigured},
		Certificate: ports.CertificateReport{Status: ports.CertNotConfigured},
		Relay:       ports.RelayStatus{State: ports.RelayStateNotConfigured},
	}
}

// Starting is the status of an agent before it knows anything, for the parts
// that it has.
func Starting(version, hostname string, site, issuer, relay bool, now time.Time) ports.Status {
	st := notConfigured(version, hostname)
	if site {
		st.Site = ports.SiteStatus{State: ports.SiteStateRetrying, Since: now}
	}
	if relay {
		st.Relay = ports.RelayStatus{State: ports.RelayStateConnecting, Since: now}
	}
	if issuer {
		st.Issuer = ports.IssuerStatus{State: ports.IssuerStateRetrying, Since: now}
		st.Certificate.Status = ports.CertMissing
	}
	return st
}

// Certificate is a judgement as status shows it. placed says whether any of the
// files is there; managed, whether an issuer is configured, without which an
// absent certificate is none that is missed.
func Certificate(j cert.Judgement, placed, managed bool) ports.CertificateReport {
	if !placed && !managed {
		return ports.CertificateReport{Status: ports.CertNotConfigured}
	}
	r := j.Report()
	if r.Status == ports.CertValid {
		r.Detail = "" // there is nothing to add
	}
	return r
}
