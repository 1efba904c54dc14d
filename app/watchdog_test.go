package app_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/unsupervised"
	"github.com/muster-agent/muster/app"
)

// watchful is a supervisor that gives up an agent that does not report.
type watchful struct {
	unsupervised.Supervisor
	fed atomic.Int64
}

func (w *watchful) WatchdogInterval() time.Duration { return 10 * time.Second }
func (w *watchful) Alive() error                    { w.fed.Add(1); return nil }

func TestTheWatchdogIsFed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		l := newLife(t)
		supervisor := &watchful{}
		l.change = func(w *app.Deps) { w.Supervisor = supervisor }
		r := l.start()
		pass(time.Minute)
		is.True(supervisor.fed.Load() >= 5)
		r.stop()
		fed := supervisor.fed.Load()
		pass(time.Minute)
		is.Equal(supervisor.fed.Load(), fed)
	})
}
