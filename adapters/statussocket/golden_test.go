package statussocket_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/statussocket"
	"github.com/muster-agent/muster/ports"
)

// The messages in testdata are written by hand, from docs/SPEC.md, "Status".
func TestGolden(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	skew := -90 * time.Second
	for name, want := range map[string]ports.Status{
		"status": {
			Version: "1.2.3", State: ports.StatePending,
			MachineUID:       "muid_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
			MachineUIDSource: ports.SourceSystemUUID,
			AgentID:          "0b7e8a52-6a4f-4f0e-9b0c-0d8f3c1b2a34",
			Hostname:         "desk-17",
			Credential: ports.CredentialStatus{
				Present: true, Source: ports.CredentialStored, StoredAt: noon, Protection: "file", Fingerprint: "9c41f2b8",
			},
			Site: ports.SiteStatus{
				State: ports.SiteStateConflict, Since: noon, NextAttempt: noon.Add(15 * time.Minute), LastError: "another site",
			},
			Issuer: ports.IssuerStatus{
				State: ports.IssuerStatePending, Polls: 3, NextAttempt: noon.Add(time.Minute), LastError: "an operator has not decided",
			},
			Certificate: ports.CertificateReport{
				Status: ports.CertExpiringSoon, NotBefore: noon.AddDate(0, -1, 0), NotAfter: noon.AddDate(0, 0, 1),
				RenewAt: noon.AddDate(0, 0, -6), Subject: "CN=desk-17", Detail: "is due for renewal",
			},
			Relay:     ports.RelayStatus{State: ports.RelayStateRefused, Since: noon, LastError: "status 401"},
			ClockSkew: &skew, ListenerAddr: "127.0.0.1:12443", Blocked: "the disk is full",
		},
		"status-unknown": {
			State:       ports.StateStopped,
			Site:        ports.SiteStatus{State: ports.SiteStateNotConfigured},
			Issuer:      ports.IssuerStatus{State: ports.IssuerStateNotConfigured},
			Certificate: ports.CertificateReport{Status: ports.CertNotConfigured},
			Relay:       ports.RelayStatus{State: ports.RelayStateNotConfigured},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			golden, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			is.NoErr(err)
			got, err := statussocket.Decode(golden)
			is.NoErr(err)
			is.Equal(got, want)

			line := statussocket.Encode(want)
			is.Equal(bytes.IndexByte(line, '\n'), len(line)-1) // one line
			var wrote, wanted any
			is.NoErr(json.Unmarshal(line, &wrote))
			is.NoErr(json.Unmarshal(golden, &wanted))
			is.Equal(wrote, wanted)
		})
	}
}
