package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

// keepRunning runs the agent until ctx is done. At each reload the
// configuration is read again: one that is good and not the same is what
// another agent goes on with, in this process and under the same lock.
func (p *program) keepRunning(ctx context.Context, config *configuration, deps app.Deps, reloads <-chan os.Signal) {
	lock := &keptLock{ProcessLock: deps.Lock}
	defer func() {
		if lock.unlock != nil {
			p.release(lock.unlock)
		}
	}()
	for {
		deps.Lock = lock
		life, end := context.WithCancelCause(ctx)
		ended := make(chan error, 1)
		go func() { ended <- app.New(deps).Run(life) }()
		next, err := p.untilReplaced(config, deps, reloads, ended)
		end(app.ErrReplaced)
		if next != nil {
			err = <-ended
		}
		if err != nil {
			deps.Log.Error(err.Error(), ports.EventStopping.Attr())
			p.code = exitcode.Error
		}
		if err != nil || next == nil {
			return
		}
		config, deps = next.config, next.deps
	}
}

// replacement is what another agent goes on with.
type replacement struct {
	config *configuration
	deps   app.Deps
}

// untilReplaced serves reloads until one of them brings a replacement, or until
// the agent has ended, with its error.
func (p *program) untilReplaced(config *configuration, deps app.Deps, reloads <-chan os.Signal, ended <-chan error) (*replacement, error) {
	for {
		select {
		case err := <-ended:
			return nil, err
		case <-reloads:
		}
		tell := func(err error) {
			if err != nil {
				deps.Log.Debug("telling the supervisor: "+err.Error(), ports.EventSupervisor.Attr())
			}
		}
		tell(deps.Supervisor.Reloading())
		if next := p.reload(config, deps.Log); next != nil {
			return next, nil // its agent tells that it is ready
		}
		tell(deps.Supervisor.Ready())
	}
}

// reload reads the configuration again; nil if the one in force stays.
func (p *program) reload(old *configuration, log *slog.Logger) *replacement {
	stays := func(why string) *replacement {
		log.Error("the configuration was read again and cannot be used; the one before stays in force: "+why, ports.EventConfiguration.Attr())
		return nil
	}
	config, err := p.configure("")
	if err == nil && config.settings.StateDir != old.settings.StateDir {
		log.Warn("MUSTER_STATE_DIR is another now, which needs a restart of the service: "+old.settings.StateDir+" stays in use", ports.EventConfiguration.Attr())
		config, err = p.configureAt(old.settings.StateDir, "")
	}
	switch {
	case err != nil:
		return stays(err.Error())
	case config.nothingToDo(context.Background()):
		return stays("nothing is configured any more; to end the service, stop it")
	case config.same(old):
		log.Info("the configuration was read again: nothing has changed", ports.EventConfiguration.Attr())
		return nil
	}
	log = p.logger(config.settings)
	deps, err := p.deps(config, log, false)
	if err != nil {
		return stays(err.Error())
	}
	log.Info("the configuration was read again: what has changed takes effect", ports.EventConfiguration.Attr())
	return &replacement{config, deps}
}

// keptLock is a lock that an agent gives back to the next one of this process,
// and to no other process. One agent at a time uses it.
type keptLock struct {
	ports.ProcessLock
	unlock func() error // nil until it is taken
}

// TryLock implements ports.ProcessLock.
func (k *keptLock) TryLock(ctx context.Context, command string) (unlock func() error, err error) {
	if k.unlock == nil {
		taken, err := k.ProcessLock.TryLock(ctx, command)
		if err != nil {
			return nil, err
		}
		k.unlock = taken
	}
	return func() error { return nil }, nil
}
