// Package ports is the vocabulary of Muster: the interfaces between the agent
// and its world, and the messages that cross them. Their comments are law:
// what each method guarantees, what it returns in each case, what must survive
// a crash. It imports only the standard library.
//
// Every adapter of a port passes the port's suites in contracttest, which hold
// this table against the code:
//
//	port                adapters                                                    suites
//	SiteEnroller        siteapi (HTTP), memsite                                     SiteEnroller
//	RelayDialer         wsrelay (WebSocket), memrelay                               RelayDialer
//	RelayConn           wsrelay, memrelay                                           RelayDialer
//	ManagerEnroller     managerapi (HTTP), memmanager                               ManagerEnroller, ManagerLife
//	CredentialStore     statedir (files), memstore                                  CredentialStore, StoreTroubles
//	IdentityStore       statedir, memstore                                          IdentityStore, StoreTroubles
//	RetryStore          statedir, memstore                                          RetryStore, StoreTroubles
//	ManagerJournal      statedir, memstore                                          ManagerJournal, StoreTroubles
//	StateDirectory      statedir, memstore                                          StateDirectory
//	CertificateFiles    certfiles (files), memstore                                 CertificateFiles, CertificateTroubles
//	ProcessLock         processlock (flock, LockFileEx), memstore                   ProcessLock
//	SignalReader        machine (Linux), machine.Static                             SignalReader
//	HostDescriber       hostfacts, hostfacts.Static                                 HostDescriber
//	Listener            mtls (TCP), mtls.Memory                                     Listener
//	CertificateHolder   mtls (TCP), mtls.Memory                                     Listener
//	Supervisor          systemd, winservice, unsupervised                           Supervisor
//	ServiceManager      systemdunit (systemd), winservice, memservice               ServiceManager
//	Protector           dpapi, contracttest.MemoryProtector                         Protector
//	Guard               winacl (access control lists), contracttest.RecordingGuard  Guard
//	EnrollmentKeyPlace  envconfig (the key's file), memstore                        EnrollmentKeyPlace
//	StatusServer        statussocket (Unix socket, named pipe), memstatus           LocalStatus
//	StatusClient        statussocket (Unix socket, named pipe), memstatus           LocalStatus
package ports
