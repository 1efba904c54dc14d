// Package ports is the vocabulary of Muster: the interfaces between the agent
// and its world, and the messages that cross them. Their comments are law:
// what each method guarantees, what it returns in each case, what must survive
// a crash. It imports only the standard library.
//
// Every adapter of a port passes the port's suites in contracttest, which hold
// this table against the code:
//
//	port                adapters                                                       suites
//	SiteEnroller        siteapi (HTTP), memory.Site                                    SiteEnroller
//	RelayDialer         wsrelay (WebSocket), memory.Relay                              RelayDialer
//	RelayConn           wsrelay, memory.Relay                                          RelayDialer
//	CertificateIssuer   managerapi (HTTP), memory.Issuer                               CertificateIssuer, IssuerLife
//	RevocationSource    managerapi (HTTP), memory.Issuer                               CertificateIssuer, IssuerLife
//	CredentialStore     statedir (files), memory.Store                                 CredentialStore, StoreTroubles
//	IdentityStore       statedir, memory.Store                                         IdentityStore, StoreTroubles
//	RetryStore          statedir, memory.Store                                         RetryStore, StoreTroubles
//	IssueJournal        statedir, memory.Store                                         IssueJournal, StoreTroubles
//	StateDirectory      statedir, memory.Store                                         StateDirectory
//	CertificateFiles    certfiles (files), memory.Certificates                         CertificateFiles, CertificateTroubles
//	ProcessLock         processlock (flock, LockFileEx), memory.Lock                   ProcessLock
//	SignalReader        hwid (Linux, Windows), memory.Signals                          SignalReader
//	HostDescriber       hostfacts, memory.Host                                         HostDescriber
//	Listener            mtls (TCP), memory.Listener                                    Listener
//	CertificateHolder   mtls (TCP), memory.Listener                                    Listener
//	Supervisor          systemd, winservice, unsupervised                              Supervisor
//	ServiceManager      systemdunit (systemd), winservice, memory.Service              ServiceManager
//	Protector           dpapi, contracttest.MemoryProtector                            Protector
//	Guard               winacl (access control lists), contracttest.RecordingGuard     Guard
//	EnrollmentKeyPlace  envconfig (the key's file), memory.KeyPlace                    EnrollmentKeyPlace
//	StatusServer        statussocket (Unix socket, named pipe), memory.StatusEndpoint  LocalStatus
//	StatusClient        statussocket (Unix socket, named pipe), memory.StatusEndpoint  LocalStatus
package ports
