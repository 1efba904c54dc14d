package app_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/app"
)

func TestTheWatchdogIsFed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		l := newLife(t)
		supervisor := &watchful{}
		l.change(func(w *app.Deps) { w.Supervisor = supervisor })
		r := l.start()
		pass(time.Minute)
		is.True(supervisor.fed.Load() >= 5)
		r.stop()
		fed := supervisor.fed.Load()
		pass(time.Minute)
		is.Equal(supervisor.fed.Load(), fed)
	})
}
