package contracttest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/adapters/unsupervised"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// brokenCase names the case that this binary runs instead of its tests.
const brokenCase = "CONTRACTTEST_BROKEN"

// TestBrokenAdaptersFail hands each suite an adapter that breaks a guarantee. It
// shows that the guarantee's test fails for it, and passes for the same adapter
// when it is whole.
func TestBrokenAdaptersFail(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range brokenAdapters {
		t.Run(c.suite+" "+c.subtest, func(t *testing.T) {
			t.Parallel()
			// A name is printed, and matched, with its spaces replaced.
			name := strings.ReplaceAll(c.subtest, " ", "_")
			levels := strings.Split(name, "/")
			for i, level := range levels {
				levels[i] = "^" + regexp.QuoteMeta(level) + "$"
			}
			for how, want := range map[string]string{"whole": "--- PASS: ", "broken": "--- FAIL: "} {
				cmd := exec.Command(self, "-test.v", "-test.run=^TestOneBrokenAdapter$/"+strings.Join(levels, "/"))
				cmd.Env = append(os.Environ(), brokenCase+"="+how+" "+c.suite+" "+c.subtest)
				out, err := cmd.CombinedOutput()
				if (err == nil) != (how == "whole") || !strings.Contains(string(out), want+"TestOneBrokenAdapter/"+name+" ") {
					t.Errorf("the adapter is %s, and the test ends with %v:\n%s", how, err, out)
				}
			}
		})
	}
	for _, suite := range functions(t, ".") {
		if !slices.ContainsFunc(brokenAdapters, func(c brokenAdapter) bool { return c.suite == suite }) {
			t.Errorf("%s is handed no broken adapter: what does it find?", suite)
		}
	}
}

// TestOneBrokenAdapter is run by TestBrokenAdaptersFail.
func TestOneBrokenAdapter(t *testing.T) {
	how, name, _ := strings.Cut(os.Getenv(brokenCase), " ")
	for _, c := range brokenAdapters {
		if name == c.suite+" "+c.subtest {
			c.run(t, how == "broken")
		}
	}
}

// brokenAdapter is a suite, one of its tests, and a run of it.
type brokenAdapter struct {
	suite, subtest string
	run            func(t *testing.T, broken bool)
}

var brokenAdapters = []brokenAdapter{
	{"Protector", "for another purpose or machine it cannot be unprotected", func(t *testing.T, broken bool) {
		whole := contracttest.NewMemoryProtector()
		p := either[ports.Protector](broken, whole, forAnyPurpose{whole})
		contracttest.Protector(t, func() ports.Protector { return p })
	}},
	{"Guard", "what lies there is not made again", func(t *testing.T, broken bool) {
		contracttest.Guard(t, func() ports.Guard {
			whole := new(contracttest.RecordingGuard)
			return either[ports.Guard](broken, whole, makesAgain{whole})
		})
	}},
	{"EnrollmentKeyPlace", "in memory/a forgotten key is gone, and forgetting it again is no error", func(t *testing.T, broken bool) {
		contracttest.EnrollmentKeyPlace(t, map[string]func(*testing.T) contracttest.KeyPlace{
			"in memory": func(*testing.T) contracttest.KeyPlace {
				k := new(memory.KeyPlace)
				return contracttest.KeyPlace{Place: k, Present: func() bool { return broken || k.Present() }}
			},
		}, nil)
	}},
	{"ServiceManager", "a whole life, each step twice", func(t *testing.T, broken bool) {
		contracttest.ServiceManager(t, contracttest.ServiceMachines{
			Fresh: func(*testing.T) ports.ServiceManager { return &memory.Service{Broken: broken} },
		})
	}},
	{"CredentialStore", "read back after a restart: full", func(t *testing.T, broken bool) {
		contracttest.CredentialStore(t, disks(broken, memory.OpenStore))
	}},
	{"IdentityStore", "read back after a restart: saved by identify", func(t *testing.T, broken bool) {
		contracttest.IdentityStore(t, disks(broken, memory.OpenStore))
	}},
	{"RetryStore", "a done context is answered with its error and changes nothing", func(t *testing.T, broken bool) {
		contracttest.RetryStore(t, stores(broken))
	}},
	{"IssueJournal", "private key/erased means gone", func(t *testing.T, broken bool) {
		contracttest.IssueJournal(t, stores(broken))
	}},
	{"StateDirectory", "everything is moved out of the way", func(t *testing.T, broken bool) {
		contracttest.StateDirectory(t, stores(broken))
	}},
	{"StoreTroubles", "credential: a failed write leaves what was stored", func(t *testing.T, broken bool) {
		contracttest.StoreTroubles(t, func(*testing.T) contracttest.TroubledPlace[contracttest.Store] {
			p := new(memory.Disk)
			return contracttest.TroubledPlace[contracttest.Store]{
				Open: func() contracttest.Store { return openStore(p, broken) },
				Inflict: func(contracttest.Record, contracttest.Trouble) (end func()) {
					p.Inject(memory.Faults{Save: ports.ErrNotWritten, Reserve: ports.ErrNotWritten})
					return func() { p.Inject(memory.Faults{}) }
				},
			}
		})
	}},
	{"CertificateFiles", "the previous set comes back", func(t *testing.T, broken bool) {
		contracttest.CertificateFiles(t, disks(false, func(p *memory.Disk) ports.CertificateFiles { return openFiles(p, broken) }))
	}},
	{"CertificateTroubles", "the revocation list stays as it was", func(t *testing.T, broken bool) {
		contracttest.CertificateTroubles(t, func(*testing.T) contracttest.TroubledFiles {
			p := new(memory.Disk)
			return contracttest.TroubledFiles{
				Open: func() ports.CertificateFiles { return openFiles(p, broken) },
				Full: func() (end func()) {
					p.Inject(memory.Faults{InstallCRL: ports.ErrNotWritten})
					return func() { p.Inject(memory.Faults{}) }
				},
			}
		})
	}},
	{"ProcessLock", "of many at once one gets it", func(t *testing.T, broken bool) {
		contracttest.ProcessLock(t, disks(broken, memory.OpenLock))
	}},
	{"SignalReader", "fails at once with the context's error when it is done", func(t *testing.T, broken bool) {
		contracttest.SignalReader(t, func(*testing.T) ports.SignalReader {
			return either[ports.SignalReader](broken, memory.Signals{}, reader{})
		})
	}},
	{"HostDescriber", "names what to configure where there is no address", func(t *testing.T, broken bool) {
		whole := memory.Host{Hostname: "web-3"}
		fresh := func(*testing.T) ports.HostDescriber {
			return either[ports.HostDescriber](broken, whole, describer{whole})
		}
		contracttest.HostDescriber(t, fresh, fresh)
	}},
	{"Supervisor", "a whole life is told without an error", func(t *testing.T, broken bool) {
		contracttest.Supervisor(t, func(*testing.T) ports.Supervisor {
			return either[ports.Supervisor](broken, unsupervised.Supervisor{}, supervisor{})
		})
	}},
	{"Listener", "gives nothing to a client that it does not trust/revoked", func(t *testing.T, broken bool) {
		contracttest.Listener(t, func(*testing.T) contracttest.ListenerUnderTest {
			l := new(memory.Listener)
			return contracttest.ListenerUnderTest{
				Listener: l, Holder: either[ports.CertificateHolder](broken, l, holder{l}), FreeAddress: "127.0.0.1:0",
				Connect: func(addr string, client tls.Certificate, roots *x509.CertPool) (contracttest.ListenerConn, error) {
					leaf, err := x509.ParseCertificate(client.Certificate[0])
					if err != nil {
						return nil, err
					}
					conn, err := l.Connect(addr, []*x509.Certificate{leaf}, roots)
					return listenerConn{conn}, err
				},
			}
		})
	}},
	{"SiteEnroller", "one request for each call", func(t *testing.T, broken bool) {
		contracttest.SiteEnroller(t, func(*testing.T, contracttest.SiteScript) contracttest.SiteServer {
			e := new(memory.Site)
			return contracttest.SiteServer{Enroller: either[ports.SiteEnroller](broken, e, site{e}), Requests: func() []ports.SiteRequest {
				return make([]ports.SiteRequest, len(e.Requests()))
			}}
		})
	}},
	{"CertificateIssuer", "submit: resumed: away", func(t *testing.T, broken bool) {
		contracttest.CertificateIssuer(t, func(_ *testing.T, script contracttest.IssuerScript) contracttest.ScriptedIssuer {
			if script.Submit.Outcome != (ports.Unavailable{}) {
				return contracttest.ScriptedIssuer{}
			}
			script.Submit.Outcome = ports.Unavailable{Reason: "it answered 503"}
			m := &memory.Issuer{OnPoll: func(context.Context, ports.IssueRequest, func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome] {
				return script.Submit
			}}
			return contracttest.ScriptedIssuer{Issuer: either[ports.CertificateIssuer](broken, m.Client(nil), issuer{m.Client(nil)}), Requests: func() (out []contracttest.IssuerRequest) {
				for _, r := range m.Requests() {
					out = append(out, contracttest.IssuerRequest{Kind: string(r.Kind), Submit: r.Submit})
				}
				return out
			}}
		})
	}},
	{"IssuerLife", "denied", func(t *testing.T, broken bool) {
		contracttest.IssuerLife(t, func(*testing.T, contracttest.IssuerKind) contracttest.LiveIssuer {
			m := &memory.Issuer{Manual: true}
			return contracttest.LiveIssuer{Issuer: either[ports.CertificateIssuer](broken, m.Client(nil), issuer{m.Client(nil)}), Deny: m.Deny}
		})
	}},
	{"RelayDialer", "closed while nobody receives", func(t *testing.T, broken bool) {
		contracttest.RelayDialer(t, func(*testing.T, contracttest.RelayScript) contracttest.RelayServer {
			s := new(memory.Relay)
			return contracttest.RelayServer{Dialer: either[ports.RelayDialer](broken, s, dialer{s}), Peer: func() contracttest.RelayPeer { return peer{conn: s.Last()} }}
		})
	}},
	{"LocalStatus", "status: nobody runs, before and after", func(t *testing.T, broken bool) {
		contracttest.LocalStatus(t, func(*testing.T) contracttest.LocalEndpoint {
			e := new(memory.StatusEndpoint)
			return contracttest.LocalEndpoint{Server: e, Client: either[ports.StatusClient](broken, e, client{e})}
		})
	}},
}

// either is an adapter that is whole, or one that is broken.
func either[P any](broken bool, whole, other P) P {
	if broken {
		return other
	}
	return whole
}

// disks makes stores that are opened over one disk in memory or, when broken,
// each over a disk of its own.
func disks[S any](broken bool, open func(*memory.Disk) S) func(*testing.T) func() S {
	return func(*testing.T) func() S {
		p := new(memory.Disk)
		return func() S {
			if broken {
				p = new(memory.Disk)
			}
			return open(p)
		}
	}
}

func stores(broken bool) func(*testing.T) func() contracttest.Store {
	return disks(false, func(p *memory.Disk) contracttest.Store { return openStore(p, broken) })
}

func openStore(p *memory.Disk, broken bool) contracttest.Store {
	s := memory.OpenStore(p)
	return either[contracttest.Store](broken, s, store{s, p})
}

func openFiles(p *memory.Disk, broken bool) ports.CertificateFiles {
	f := memory.OpenCertificates(p)
	return either[ports.CertificateFiles](broken, f, files{f})
}

// From here on are the adapters that are broken.

// store does not erase a key, erases a credential before it saves another, sets
// nothing aside, and ignores that a context is done.
type store struct {
	*memory.Store
	disk *memory.Disk
}

func (s store) Save(ctx context.Context, c ports.Credential) error {
	s.disk.Remove(memory.Credential)
	return s.Store.Save(ctx, c)
}

func (s store) EraseKey(ctx context.Context) error { return ctx.Err() }

func (s store) SaveRetries(ctx context.Context, r ports.RetryRecord) error {
	return s.Store.SaveRetries(context.WithoutCancel(ctx), r)
}

func (s store) SetAside(context.Context) (string, error) { return "nowhere", nil }

// files restores nothing and does not say that a list was not written.
type files struct{ *memory.Certificates }

func (f files) RestorePrevious(context.Context) error { return nil }

func (f files) InstallCRL(ctx context.Context, pem []byte) error {
	_ = f.Certificates.InstallCRL(ctx, pem) // this is what is wrong with it
	return nil
}

// reader ignores that a context is done.
type reader struct{ memory.Signals }

func (r reader) Read(ctx context.Context) (ports.MachineSignals, error) {
	return r.Signals.Read(context.WithoutCancel(ctx))
}

// describer does not say what to configure.
type describer struct{ memory.Host }

func (d describer) Describe(ctx context.Context, managerHost string) (ports.HostFacts, error) {
	facts, err := d.Host.Describe(ctx, managerHost)
	if err != nil {
		err = errors.New("no address")
	}
	return facts, err
}

// supervisor cannot be told that the agent stops.
type supervisor struct{ unsupervised.Supervisor }

func (supervisor) Stopping() error { return errors.New("nobody is there") }

// holder does not pass revocations on.
type holder struct{ ports.CertificateHolder }

func (h holder) Use(c *ports.CertificateInUse) {
	if c != nil {
		c.Revoked = nil
	}
	h.CertificateHolder.Use(c)
}

// site tries again by itself.
type site struct{ *memory.Site }

func (s site) Enroll(ctx context.Context, r ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
	s.Site.Enroll(ctx, r)
	return s.Site.Enroll(ctx, r)
}

// issuer lets the resume value into a text and takes a refusal for a pending
// decision.
type issuer struct{ ports.CertificateIssuer }

func (i issuer) Submit(ctx context.Context, r ports.IssueRequest) ports.Answer[ports.SubmitOutcome] {
	answer := i.CertificateIssuer.Submit(ctx, r)
	if o, ok := answer.Outcome.(ports.Unavailable); ok {
		answer.Outcome = ports.Unavailable{Reason: o.Reason + " at /enroll/status/" + r.Resume.Reveal()}
	}
	return answer
}

func (i issuer) Interpret(r ports.Received) ports.IssueDecision {
	decision := i.CertificateIssuer.Interpret(r)
	if _, denied := decision.(ports.IssueDenied); denied {
		return ports.IssuePending{}
	}
	return decision
}

// dialer returns connections on which sending never fails.
type dialer struct{ *memory.Relay }

func (d dialer) Dial(ctx context.Context, hello ports.RelayHello) (ports.RelayConn, error) {
	conn, err := d.Relay.Dial(ctx, hello)
	if err != nil {
		return nil, err
	}
	return relayConn{conn}, nil
}

type relayConn struct{ ports.RelayConn }

func (c relayConn) Send(ctx context.Context, s ports.AgentStatus) error {
	_ = c.RelayConn.Send(ctx, s) // this is what is wrong with it
	return nil
}

// client has a status though no agent runs.
type client struct{ *memory.StatusEndpoint }

func (c client) Status(ctx context.Context) (ports.Status, error) {
	status, err := c.StatusEndpoint.Status(ctx)
	if errors.Is(err, ports.ErrNotRunning) {
		return ports.Status{State: ports.StateStopped}, nil
	}
	return status, err
}

// forAnyPurpose binds a secret to no purpose.
type forAnyPurpose struct{ ports.Protector }

func (p forAnyPurpose) Protect(secret ports.Secret, _, machineUID string) ([]byte, error) {
	return p.Protector.Protect(secret, "", machineUID)
}

func (p forAnyPurpose) Unprotect(wrapped []byte, _, machineUID string) (ports.Secret, error) {
	return p.Protector.Unprotect(wrapped, "", machineUID)
}

// makesAgain takes an existing directory for one that it made.
type makesAgain struct{ ports.Guard }

func (g makesAgain) Mkdir(path string) error {
	err := g.Guard.Mkdir(path)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// The other end of two of the conversations, whole or broken.

type listenerConn struct{ *memory.ListenerConn }

func (c listenerConn) Served() *x509.Certificate { return c.ListenerConn.Served }
func (c listenerConn) Close()                    {}

// peer is the part of the relay's end that the test uses.
type peer struct {
	contracttest.RelayPeer
	conn *memory.RelayConn
}

func (p peer) ClosedNormally() bool { return p.conn.ClosedNormally() }
