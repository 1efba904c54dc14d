package app_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
)

func TestAPollingTokenIsSentToNoOtherManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		c := newCertLife(t)
		c.manager.Manual = true
		c.start().stop()
		c.manager.OnRegister = isDown // it gives no token of its own
		c.settings.ManagerURL = mustParse(t, "https://another.example.org")
		registrations, polls := c.manager.Count(memory.Register), c.manager.Count(memory.Poll)
		r := c.start()
		defer r.stop()
		pass(time.Hour)
		is.True(c.manager.Count(memory.Register) > registrations)
		is.Equal(c.manager.Count(memory.Poll), polls)
	})
}
