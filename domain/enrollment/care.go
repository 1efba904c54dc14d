package enrollment

import "github.com/muster-agent/muster/ports"

// Care is what a machine's certificate needs.
type Care int

// What a certificate may need.
const (
	// CareNone: it is valid and not due.
	CareNone Care = iota
	// CareClock: it becomes valid within the hour, which is put down to the
	// clock. Wait and warn; do not enroll.
	CareClock
	// CareRenew: ask the issuer for another with this one.
	CareRenew
	// CareRegister: make a new request and wait for an operator.
	CareRegister
)

// CareFor decides what a judged certificate needs. renewalOffered is false once
// the issuer has said that it does not renew this one.
func CareFor(status ports.CertificateStatus, clockProblem, renewalOffered bool) Care {
	switch status {
	case ports.CertValid:
		return CareNone
	case ports.CertExpiringSoon:
		if renewalOffered {
			return CareRenew
		}
		return CareRegister
	case ports.CertNotYetValid:
		if clockProblem {
			return CareClock
		}
		return CareRegister
	case ports.CertMissing, ports.CertCorrupt, ports.CertExpired, ports.CertKeyMismatch, ports.CertUntrusted, ports.CertRevoked, ports.CertNotConfigured:
		return CareRegister
	}
	return CareRegister
}
