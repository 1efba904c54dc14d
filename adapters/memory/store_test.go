package memory

import (
	"errors"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// TestFaults shows that every fault that the suites of troubles do not bring
// about is answered with, changes nothing, and can be taken back.
func TestFaults(t *testing.T) {
	t.Parallel()
	p := new(Disk)
	s, certs := OpenStore(p), OpenCertificates(p)
	calls := map[string]struct {
		fault Faults
		call  func() error
	}{
		"EraseKey":     {Faults{EraseKey: ports.ErrNotWritten}, func() error { return s.EraseKey(t.Context()) }},
		"EraseBundle":  {Faults{EraseBundle: ports.ErrNotWritten}, func() error { return s.EraseBundle(t.Context()) }},
		"RejectBundle": {Faults{RejectBundle: ports.ErrNotWritten}, func() error { _, err := s.RejectBundle(t.Context()); return err }},

		"SetDamagedAside": {Faults{SetDamagedAside: ports.ErrNotWritten}, func() error { return certs.SetAside(t.Context(), nil) }},
		"Install":         {Faults{Install: ports.ErrNotWritten}, func() error { return certs.Install(t.Context(), ports.CertificateSet{}) }},
		"RestorePrevious": {Faults{RestorePrevious: ports.ErrNotWritten}, func() error { return certs.RestorePrevious(t.Context()) }},
		"DropPrevious":    {Faults{DropPrevious: ports.ErrNotWritten}, func() error { return certs.DropPrevious(t.Context()) }},
		"Erase":           {Faults{Erase: ports.ErrNotWritten}, func() error { _, err := certs.Erase(t.Context()); return err }},

		"RemoveEnrollment": {Faults{RemoveEnrollment: ports.ErrNotWritten}, func() error { _, err := s.RemoveEnrollment(t.Context()); return err }},
		"SetAside":         {Faults{SetAside: ports.ErrNotWritten}, func() error { _, err := s.SetAside(t.Context()); return err }},
		"TryLock": {Faults{TryLock: ports.ErrLocked}, func() error {
			_, err := OpenLock(p).TryLock(t.Context(), "run")
			return err
		}},
	}
	is.New(t).NoErr(s.Save(t.Context(), ports.Credential{SiteCode: "old"}))
	is.New(t).NoErr(s.SaveBundle(t.Context(), ports.ReceivedBundle{Issuer: "old"}))
	is.New(t).NoErr(certs.Install(t.Context(), ports.CertificateSet{CA: []byte("old")}))
	for name, c := range calls {
		p.Inject(c.fault)
		err := c.call()
		p.Inject(Faults{})
		if err == nil {
			t.Errorf("%s: the fault was not answered with", name)
		}
		if got, err := s.Load(t.Context()); err != nil || got.SiteCode != "old" {
			t.Errorf("%s: after the fault Load gives %+v, %v", name, got, err)
		}
		if got, err := s.LoadBundle(t.Context()); err != nil || got.Issuer != "old" {
			t.Errorf("%s: after the fault LoadBundle gives %+v, %v", name, got, err)
		}
		if got, err := certs.Read(t.Context()); err != nil || string(got.CA.PEM) != "old" {
			t.Errorf("%s: after the fault Read gives %+v, %v", name, got, err)
		}
	}
	p.Inject(Faults{Save: errors.New("boom"), Protection: "dpapi"})
	is.New(t).Equal(s.Protection(), "dpapi")
}

// TestRecordsBehindTheBack shows what a test may see and do of the records.
func TestRecordsBehindTheBack(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	p := new(Disk)
	s := OpenStore(p)
	is.NoErr(s.Save(t.Context(), ports.Credential{SiteCode: "A"}))
	p.Remove(Credential)
	_, err := s.Load(t.Context())
	is.True(errors.Is(err, ports.ErrNotStored))
	is.NoErr(s.SaveBundle(t.Context(), ports.ReceivedBundle{Issuer: "rejected"}))
	_, err = s.RejectBundle(t.Context())
	is.NoErr(err)
	is.Equal(p.Rejected()[0].Issuer, "rejected")
}

// TestCertificatesBehindTheBack shows what a test may do to the files.
func TestCertificatesBehindTheBack(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	p := new(Disk)
	certs := OpenCertificates(p)
	read := func() ports.FoundSet {
		found, err := certs.Read(t.Context())
		is.NoErr(err)
		return found
	}
	set := ports.CertificateSet{CA: []byte("ca"), Server: []byte("server"), Key: ports.NewSecret("key")}
	is.NoErr(certs.Install(t.Context(), set))
	is.Equal(string(read().Server.PEM), "server")
	is.True(read().CRL.Missing())

	p.AlterCertificates(func(f *ports.FoundSet) {
		f.CA.PEM[0] = 'C'
		f.Server = ports.FoundFile{Err: ports.FileDirectory{}}
		f.Key = ports.FoundKey{Err: ports.FileUnreadable{Reason: "permission denied"}}
	})
	found := read()
	is.Equal(string(found.CA.PEM), "Ca")
	is.Equal(found.Server, ports.FoundFile{Path: found.Server.Path, Err: ports.FileDirectory{}})
	is.True(found.Server.Path != "")
	is.Equal(found.Key.Err, ports.FileUnreadable{Reason: "permission denied"})

	is.NoErr(certs.KeepPrevious(t.Context()))
	is.True(p.PreviousKept())
	p.Inject(Faults{InstallMixture: ports.ErrNotWritten})
	is.True(errors.Is(certs.Install(t.Context(), set), ports.ErrNotWritten))
	is.Equal(string(read().Server.PEM), "server")
	is.Equal(read().Key.Err, ports.FileUnreadable{Reason: "permission denied"}) // half way
	p.Inject(Faults{})
	is.NoErr(certs.Install(t.Context(), set))
	is.True(read().Key.PEM.Equal(set.Key))
	is.NoErr(certs.RestorePrevious(t.Context()))
	is.Equal(string(read().CA.PEM), "Ca")
	is.True(read().Server.Missing() && read().Key.Missing()) // nothing that could be kept
	is.NoErr(certs.DropPrevious(t.Context()))
	is.True(!p.PreviousKept())
}

// disks makes what is opened over a disk in memory.
func disks[S any](open func(*Disk) S) func(*testing.T) func() S {
	return func(*testing.T) func() S {
		d := new(Disk)
		return func() S { return open(d) }
	}
}

func TestCredentialStore(t *testing.T) { contracttest.CredentialStore(t, disks(OpenStore)) }
func TestIdentityStore(t *testing.T)   { contracttest.IdentityStore(t, disks(OpenStore)) }
func TestRetryStore(t *testing.T)      { contracttest.RetryStore(t, disks(OpenStore)) }
func TestIssueJournal(t *testing.T)    { contracttest.IssueJournal(t, disks(OpenStore)) }
func TestStateDirectory(t *testing.T)  { contracttest.StateDirectory(t, disks(OpenStore)) }
