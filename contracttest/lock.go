package contracttest

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// ProcessLock is the suite of ports.ProcessLock. Each call of fresh makes a state
// directory that nobody holds; each call of open stands for another process over
// it.
func ProcessLock[S ports.ProcessLock](t *testing.T, fresh func(*testing.T) (open func() S)) {
	names(t, "ProcessLock")
	t.Run("the second locker is told who holds the lock", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		unlock, err := open().TryLock(t.Context(), "enroll")
		is.NoErr(err)
		defer unlock()

		_, err = open().TryLock(t.Context(), "run")
		var locked *ports.LockedError
		is.True(errors.As(err, &locked))
		is.True(errors.Is(err, ports.ErrLocked))
		is.Equal(*locked, ports.LockedError{PID: os.Getpid(), Command: "enroll"})
		is.True(strings.Contains(err.Error(), "enroll"))
	})
	t.Run("the same process cannot lock twice", func(t *testing.T) {
		is := is.New(t)
		lock := fresh(t)()
		unlock, err := lock.TryLock(t.Context(), "run")
		is.NoErr(err)
		defer unlock()
		_, err = lock.TryLock(t.Context(), "run")
		is.True(errors.Is(err, ports.ErrLocked))
	})
	t.Run("unlocked, it is free for the next", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		unlock, err := open().TryLock(t.Context(), "enroll")
		is.NoErr(err)
		is.NoErr(unlock())

		unlockNext, err := open().TryLock(t.Context(), "run")
		is.NoErr(err)
		defer unlockNext()
		is.NoErr(unlock()) // a second time does not take it from the next
		_, err = open().TryLock(t.Context(), "enroll")
		var locked *ports.LockedError
		is.True(errors.As(err, &locked))
		is.Equal(locked.Command, "run")
	})
	t.Run("the holder is named while it holds", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		_, err := open().Holder(t.Context())
		is.True(errors.Is(err, ports.ErrNotStored)) // before

		unlock, err := open().TryLock(t.Context(), "renew-certs")
		is.NoErr(err)
		holder, err := open().Holder(t.Context())
		is.NoErr(err)
		is.Equal(holder, ports.LockedError{PID: os.Getpid(), Command: "renew-certs"})

		is.NoErr(unlock())
		_, err = open().Holder(t.Context())
		is.True(errors.Is(err, ports.ErrNotStored)) // after
	})
	t.Run("asking for the holder never keeps anybody from locking", func(t *testing.T) {
		open := fresh(t)
		ctx, stop := context.WithCancel(t.Context())
		var asking sync.WaitGroup
		for range 2 {
			asking.Go(func() {
				lock := open()
				for ctx.Err() == nil {
					if _, err := lock.Holder(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ports.ErrNotStored) {
						t.Errorf("Holder: %v", err)
						return
					}
				}
			})
		}
		for range 100 {
			unlock, err := open().TryLock(t.Context(), "run")
			if err != nil {
				t.Errorf("TryLock: %v", err)
				break
			}
			if err := unlock(); err != nil {
				t.Errorf("unlock: %v", err)
			}
		}
		stop()
		asking.Wait()
	})
	t.Run("of many at once one gets it", func(t *testing.T) {
		open := fresh(t)
		var mu sync.Mutex
		var unlocks []func() error
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				unlock, err := open().TryLock(t.Context(), "run")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					unlocks = append(unlocks, unlock)
				} else if !errors.Is(err, ports.ErrLocked) {
					t.Errorf("TryLock: %v", err)
				}
			})
		}
		all.Wait()
		if len(unlocks) != 1 {
			t.Errorf("%d processes hold the lock, want 1", len(unlocks))
		}
		for _, unlock := range unlocks {
			if err := unlock(); err != nil {
				t.Errorf("unlock: %v", err)
			}
		}
	})
	t.Run("a done context is answered with its error", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := open().TryLock(ctx, "run")
		is.True(errors.Is(err, context.Canceled))
		_, err = open().Holder(ctx)
		is.True(errors.Is(err, context.Canceled))

		unlock, err := open().TryLock(t.Context(), "run") // nothing was left locked
		is.NoErr(err)
		is.NoErr(unlock())
	})
}
