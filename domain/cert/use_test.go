package cert

import (
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

func TestOutlives(t *testing.T) {
	end := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	before, at := end.Add(-time.Second), end
	for status, want := range map[ports.CertificateStatus]bool{
		ports.CertMissing: true, ports.CertCorrupt: true, ports.CertKeyMismatch: true,
		ports.CertExpired: false, ports.CertNotYetValid: false, ports.CertUntrusted: false, ports.CertRevoked: false,
		ports.CertValid: false, ports.CertExpiringSoon: false, ports.CertNotConfigured: false,
	} {
		is.New(t).Equal(Outlives(status, end, before), want)
		is.New(t).Equal(Outlives(status, end, at), false) // not beyond its end
	}
}

func TestUntilChange(t *testing.T) {
	is := is.New(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	is.Equal(Judgement{}.UntilChange(now, time.Hour), time.Hour) // nothing is known
	j := Judgement{NotBefore: now.Add(-time.Hour), RenewAt: now.Add(time.Minute), End: now.Add(2 * time.Minute), NotAfter: now.Add(3 * time.Minute)}
	is.Equal(j.UntilChange(now, time.Hour), time.Minute)
	is.Equal(j.UntilChange(now, time.Second), time.Second)
	is.Equal(j.UntilChange(now.Add(time.Minute), time.Hour), time.Minute) // its end is next
	is.Equal(j.UntilChange(now.Add(time.Hour), time.Hour), time.Hour)     // all is past
}
