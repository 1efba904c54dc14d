package ports

import "time"

// Supervisor is whoever started the agent and watches it: systemd, the
// Windows service control manager, or nobody. All methods return at once. An
// error means that the notification was not delivered: log it and go on, since
// nobody waits for it.
type Supervisor interface {
	// Ready: the agent supervises itself from here on; not that it is
	// enrolled.
	Ready() error
	// Status is one line in plain words, without secrets.
	Status(text string) error
	// Reloading: the configuration is being read again; Ready ends it.
	Reloading() error
	// Stopping: the agent was told to stop and does.
	Stopping() error
	// Alive feeds the watchdog.
	Alive() error
	// WatchdogInterval is how often Alive must be called at the least; zero
	// if nobody watches.
	WatchdogInterval() time.Duration
}
