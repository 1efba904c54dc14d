// Package memory implements ports in memory, for tests: the servers that the
// agent talks to, the disk that it keeps its state on, and the host that it
// runs on.
//
// Each double passes the suites of its port, as the adapters that ship do. Its
// zero value works, except for a process's view of a [Disk]. A fault of its own is
// a field or a method. None makes a system call that blocks or leaves a goroutine
// behind, so that an agent's life on them runs in a synctest bubble, where a year
// takes milliseconds.
package memory

import "time"

// requestLimit is how long ports.SiteEnroller and ports.CertificateIssuer let a
// request take, and ports.RelayDialer a handshake.
const requestLimit = 30 * time.Second
