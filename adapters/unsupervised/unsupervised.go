// Package unsupervised is the supervisor of a process that nobody watches, in a
// terminal or a container.
package unsupervised

import "time"

// Supervisor implements ports.Supervisor: it tells nobody.
type Supervisor struct{}

// Ready implements ports.Supervisor.
func (Supervisor) Ready() error { return nil }

// Status implements ports.Supervisor.
func (Supervisor) Status(string) error { return nil }

// Reloading implements ports.Supervisor.
func (Supervisor) Reloading() error { return nil }

// Stopping implements ports.Supervisor.
func (Supervisor) Stopping() error { return nil }

// Alive implements ports.Supervisor.
func (Supervisor) Alive() error { return nil }

// WatchdogInterval implements ports.Supervisor.
func (Supervisor) WatchdogInterval() time.Duration { return 0 }
