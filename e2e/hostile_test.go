package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"
)

// memoryLimit is what the agent may come to, in bytes, whatever a server sends.
const memoryLimit = 64 << 20

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var visits atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer elsewhere.Close()

	s := startServer(t)
	m := newMachine(t, s)
	m.delays(10*time.Millisecond, 20*time.Millisecond)
	statuses := []int{301, 302, 303, 307, 308}
	for _, status := range statuses {
		to := map[string]string{"Location": elsewhere.URL + enrollPath}
		s.fault(enrollPath, 1, action{Status: status, Headers: to})
		s.fault(relayPath, 1, action{Status: status, Headers: to})
	}
	a := m.start().connected()
	s.onlyMachine(m)
	rejected, _ := a.log.lines("enroll.rejected")
	is.Equal(len(rejected), len(statuses))
	for _, l := range rejected {
		is.Equal(l.Class, "operator")
		is.True(strings.Contains(l.Msg, "redirect"))
	}
	refused, _ := a.log.lines("relay.disconnected")
	is.Equal(len(refused), len(statuses))
	is.Equal(s.enrollments(), len(statuses)+1)
	is.Equal(int(visits.Load()), 0)
}

func TestAnAnswerOfAnySizeCostsLittleMemory(t *testing.T) {
	t.Parallel()
	const key = `"key":"cak_012345678901234567890123456789"`
	padding := strings.Repeat("x", 10<<20)
	for name, body := range map[string]string{
		"10 MiB before the key": `{"padding":"` + padding + `",` + key + `}`,
		"10 MiB after the key":  `{` + key + `,"padding":"` + padding + `"}`,
		"10 MiB of brackets":    strings.Repeat("[", 10<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startServer(t)
			s.fault(enrollPath, 0, action{Status: 201, Body: body})
			s.fault(relayPath, 3, action{Status: 401, Body: body})
			m := newMachine(t, s)
			m.delays(20*time.Millisecond, 40*time.Millisecond)
			a := m.start()
			for n := 1; n <= 3; n++ {
				l := a.logged("enroll.retry", n)
				is.Equal(l.Class, "transient")
				is.True(strings.Contains(l.Msg, "1 MiB"))
			}
			s.heal()
			s.fault(relayPath, 3, action{Status: 401, Body: body})
			a.connected()
			s.onlyMachine(m)
			staysSmall(t, a)
		})
	}
}

func TestAnAnswerThatNeverEndsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for name, test := range map[string]struct {
		pause time.Duration // between two pieces
		piece string
	}{
		"fast":            {0, strings.Repeat(" ", 64<<10)},
		"a byte a second": {time.Second, " "}, // until the request's time-out of 30 s
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			endless := func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusCreated)
				for r.Context().Err() == nil {
					if _, err := w.Write([]byte(test.piece)); err != nil {
						return
					}
					_ = http.NewResponseController(w).Flush() // a client that has gone is seen by the next write
					select {
					case <-time.After(test.pause):
					case <-r.Context().Done():
					}
				}
			}
			w := tap(t, s, endless)
			m := newMachine(t, nil)
			m.configure(w.URL, w.CA)
			a := m.start()
			began := time.Now()
			eventuallyWithin(t, 2*patience, func() string {
				if lines, _ := a.log.lines("enroll.retry"); len(lines) > 0 {
					return ""
				}
				return "the answer that never ends is still waited for"
			})
			if test.pause > 0 {
				is.True(time.Since(began) < 2*30*time.Second)
			}
			is.Equal(a.logged("enroll.retry", 1).Class, "transient")
			w.passOn()
			a.connected()
			staysSmall(t, a)
		})
	}
}

// staysSmall asserts that the agent's memory never came to the limit.
func staysSmall(t *testing.T, a *agent) {
	t.Helper()
	if peak := peakMemory(t, a); peak > memoryLimit {
		t.Errorf("the agent's resident memory came to %d MiB", peak>>20)
	}
}
