package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// memoryLimit is what the agent may come to, in bytes, whatever a server sends.
const memoryLimit = 64 << 20

// What never ends is given up, and costs little until then. (That a slow one is
// given up after 30 s is shown in adapters/siteapi.)
func TestAnAnswerThatNeverEndsCostsLittleMemory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	w := tap(t, startServer(t), func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		piece := []byte(strings.Repeat(" ", 64<<10))
		for r.Context().Err() == nil {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	m := newMachine(t, nil)
	m.configure(w.URL, w.CA)
	a := m.start()
	l := a.logged("enroll.retry", 3)
	is.Equal(l.Class, "transient")
	is.True(strings.Contains(l.Msg, "1 MiB")) // the limit
	w.passOn()
	a.connected()
	if peak := peakMemory(t, a); peak > memoryLimit {
		t.Errorf("the agent's resident memory came to %d MiB", peak>>20)
	}
}
