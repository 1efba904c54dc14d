// Package ports is the vocabulary of Muster: the interfaces between the agent
// and its world, and the messages that cross them. Their comments are law:
// what each method guarantees, what it returns in each case, what must survive
// a crash. It imports only the standard library.
//
// Every adapter of a port passes the port's suite in contracttest:
//
//	port                adapters                                        suite
//	SiteEnroller        siteapi (HTTP), memsite                         SiteEnroller
//	RelayDialer         wsrelay (WebSocket), memrelay                   RelayDialer
//	ManagerEnroller     managerapi (HTTP), memmanager                   ManagerEnroller, ManagerLife
//	CredentialStore     statedir (files), memstore                      CredentialStore
//	IdentityStore       statedir, memstore                              IdentityStore
//	RetryStore          statedir, memstore                              RetryStore
//	StateDirectory      statedir, memstore                              StateDirectory
//	ManagerJournal      statedir, memstore                              ManagerJournal
//	CertificateFiles    certfiles (files), memstore                     CertificateFiles
//	ProcessLock         processlock (flock, LockFileEx), memstore       ProcessLock
//	SignalReader        machine (Linux), machine.Static                 SignalReader
//	HostDescriber       hostfacts, hostfacts.Static                     HostDescriber
//	Listener,           mtls (TCP), mtls.Memory                         Listener
//	CertificateHolder
//	Supervisor          systemd, unsupervised                           Supervisor
//	ServiceManager      systemdunit (systemd), memservice               ServiceManager
//	EnrollmentKeyPlace  envconfig (its file, the key's), memstore       EnrollmentKeyPlace
//	StatusServer,       statussocket (Unix socket; on Windows a named   none yet: its own tests
//	StatusClient        pipe is to come)
package ports
