//go:build linux

package systemdunit

import (
	"context"
	"fmt"
)

// makeAccount makes the system user and group of the service, where they are
// missing.
func (m *Manager) makeAccount(ctx context.Context) error {
	known := func(database string) bool {
		_, err := m.o.Run(ctx, "getent", database, account)
		return err == nil
	}
	if known("passwd") {
		return ctx.Err()
	}
	group := "--user-group"
	if known("group") {
		group = "--gid=" + account
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := m.o.Run(ctx, "useradd", "--system", group, "--home-dir="+home, "--no-create-home", "--shell=/usr/sbin/nologin", "--comment=Muster enrollment agent", account)
	if err != nil {
		return fmt.Errorf("making the system user %s: %w", account, err)
	}
	return nil
}
