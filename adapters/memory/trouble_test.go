package memory

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestStoreTroubles(t *testing.T) {
	contracttest.StoreTroubles(t, func(*testing.T) contracttest.TroubledPlace[*Store] {
		p := new(Disk)
		return contracttest.TroubledPlace[*Store]{
			Open: func() *Store { return OpenStore(p) },
			Inflict: func(r contracttest.Record, trouble contracttest.Trouble) (end func()) {
				switch trouble {
				case contracttest.Damaged:
					p.Damage(Record(r))
				case contracttest.NoSpace:
					p.Inject(faults(Record(r), nil, ports.ErrNotWritten))
				case contracttest.Unreadable:
					p.Inject(faults(Record(r), ports.ErrUnreadable, ports.ErrUnreadable))
				case contracttest.NewerFormat:
					p.Inject(faults(Record(r), ports.ErrNewerFormat, ports.ErrNewerFormat))
				}
				return func() { p.Inject(Faults{}) }
			},
		}
	})
}

// faults of everything that reads or writes a record.
func faults(r Record, read, write error) Faults {
	return map[Record]Faults{
		Credential: {Load: read, Save: write, Reserve: write},
		Identity:   {LoadIdentity: read, SaveIdentity: write},
		Retries:    {LoadRetries: read, SaveRetries: write},
		Pending:    {LoadPending: read, SavePending: write},
		Key:        {LoadKey: read, SaveKey: write},
		Bundle:     {LoadBundle: read, SaveBundle: write, ReserveBundle: write},
	}[r]
}

func TestCertificateTroubles(t *testing.T) {
	contracttest.CertificateTroubles(t, func(*testing.T) contracttest.TroubledFiles {
		p := new(Disk)
		full := Faults{KeepPrevious: ports.ErrNotWritten, InstallMixture: ports.ErrNotWritten, InstallCRL: ports.ErrNotWritten}
		return contracttest.TroubledFiles{
			Open: func() ports.CertificateFiles { return OpenCertificates(p) },
			Full: func() (end func()) {
				p.Inject(full)
				return func() { p.Inject(Faults{}) }
			},
			Copies: p.DamagedCopies,
		}
	})
}
