package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/adapters/winservice"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

// logLimit is the size in bytes at which the service's log begins anew: a month
// of an ordinary life, and little beside Windows' own logs.
const logLimit = 5 << 20

// hostable lets the service control manager start the command, by a flag of
// its own: the process cannot tell by itself under Wine.
func (p *program) hostable(run *cobra.Command) {
	var hosted bool
	run.Flags().BoolVar(&hosted, "service", false, "as the service control manager starts it")
	_ = run.Flags().MarkHidden("service") // fails for a flag that is not there
	byHand := run.RunE
	run.RunE = func(cmd *cobra.Command, args []string) error {
		if !hosted {
			return byHand(cmd, args)
		}
		return p.hosted()
	}
}

// hosted is the service under the service control manager, which alone ends it.
// It has no standard error: its log is a file, beside the default configuration
// whatever that says.
func (p *program) hosted() error {
	events, err := winservice.OpenEvents(serviceName)
	if err != nil {
		return err
	}
	p.events = events
	dir := filepath.Join(filepath.Dir(envconfig.DefaultFile(p.environ)), "logs")
	log := &winservice.LogFile{Path: filepath.Join(dir, "muster.log"), Limit: logLimit, Prepare: func() error { return prepareLogs(dir, events) }}
	p.stderr = log
	err = winservice.Run(serviceName, func(ctx context.Context, supervisor ports.Supervisor) int {
		p.host = supervisor
		if err := p.runAgent(ctx); err != nil {
			p.code = exitcode.Error
			_, _ = fmt.Fprintf(log, "muster: %s\n", envconfig.WithoutKeys(err.Error())) // the event log has it too
			_ = events.Failed(envconfig.WithoutKeys(err.Error()))                       // and the file
		}
		return int(p.code)
	})
	return errors.Join(err, log.Close())
}

// prepareLogs makes the directory of the logs, and the one that holds it, as
// the store makes its own.
func prepareLogs(dir string, events slog.Handler) error {
	_, guard := protection()
	told := func(r ports.Recovery) {
		slog.New(events).Warn(r.File+" was "+r.Action+": "+r.Reason, ports.EventStoreRecovered.Attr())
	}
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := claimOrMake(guard, path, told); err != nil {
			return err
		}
	}
	return nil
}
