//go:build !linux

package e2e

// becomeAnotherHost does nothing: only Linux lends a process a host's name.
func becomeAnotherHost() {}
