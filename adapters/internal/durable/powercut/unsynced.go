// Package powercut stands between an adapter and its disk, for tests: it stops
// at a call, as a crash does, or fails one, and shows what is found after the
// power went.
package powercut

import "github.com/muster-agent/muster/adapters/internal/durable"

// Unsynced leaves the syncing out, for tests that do not cut the power.
func Unsynced(op durable.Op, _ string, call func() error) error {
	if op == durable.OpSync || op == durable.OpSyncDir {
		return nil
	}
	return call()
}
