package app_test

import (
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

func TestListeningIsLoggedOnlyAfterTheBind(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		const addr = "127.0.0.1:12443"
		c.settings.ListenAddr = addr
		c.change(func(w *app.Deps) { w.Listener = &c.listener })
		c.listener.Take(addr, true)
		r := c.start()
		pass(time.Hour)
		r.expect(ports.StateBlocked)
		is.True(c.logged("listener.failed") > 5)
		is.Equal(c.logged("listening"), 0)
		c.listener.Take(addr, false)
		pass(10 * time.Minute)
		r.expect(ports.StateServing)
		is.Equal(c.logged("listening"), 1)
	})
}
