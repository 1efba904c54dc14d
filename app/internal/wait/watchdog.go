package wait

import (
	"context"
	"sync"
	"time"

	"github.com/muster-agent/muster/domain/retry"
)

// Watchdog knows which of the agent's tasks are at work, and since when. A task
// that waits, for time to pass or for somebody, is as it should be, however
// long that takes. It is safe for concurrent use.
type Watchdog struct {
	mu     sync.Mutex
	atWork map[*task]time.Time
}

// task is one of the agent's long-lived loops.
type task struct {
	name     string
	watchdog *Watchdog
}

type taskKey struct{}

// Begin makes ctx that of a task, which is at work until it is idle or ends.
func (w *Watchdog) Begin(ctx context.Context, name string) (_ context.Context, end func()) {
	t := &task{name, w}
	t.work()
	return context.WithValue(ctx, taskKey{}, t), t.idle
}

// Idle says that the task of ctx waits until resume is called. What belongs to
// no task (a command) is not watched.
func Idle(ctx context.Context) (resume func()) {
	t, _ := ctx.Value(taskKey{}).(*task)
	if t == nil {
		return func() {}
	}
	t.idle()
	return t.work
}

func (t *task) work() {
	t.watchdog.mu.Lock()
	defer t.watchdog.mu.Unlock()
	if t.watchdog.atWork == nil {
		t.watchdog.atWork = map[*task]time.Time{}
	}
	t.watchdog.atWork[t] = time.Now()
}

func (t *task) idle() {
	t.watchdog.mu.Lock()
	defer t.watchdog.mu.Unlock()
	delete(t.watchdog.atWork, t)
}

// Hung names a task that has been at work for longer than retry.HungAfter;
// empty if there is none.
func (w *Watchdog) Hung() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for t, since := range w.atWork {
		if time.Since(since) > retry.HungAfter {
			return t.name
		}
	}
	return ""
}
