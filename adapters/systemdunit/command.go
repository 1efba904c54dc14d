//go:build linux

package systemdunit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Command runs commands of this machine, for Options.Run.
func Command(ctx context.Context, name string, args ...string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil { // a PATH without the folder of root's commands
		if path, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second // for what it may have left running
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if said := strings.Join(strings.Fields(errs.String()), " "); err != nil && said != "" {
		err = errors.Join(ctx.Err(), errors.New(said))
	}
	return out.String(), err
}
