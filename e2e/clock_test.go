package e2e

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestAClockThatIsWrongIsReportedAndNothingIsThrownAway(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"server two days ahead": 48 * time.Hour, "server two days behind": -48 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startServer(t)
			m := newMachine(t, s)
			m.delays(20*time.Millisecond, 40*time.Millisecond)
			// With the clocks right, a key that was refused for so long would be
			// enrolled for again.
			m.env["MUSTER_REENROLL_AFTER"] = "100ms"
			a := m.start().connected()
			s.onlyMachine(m)
			credential, identity := m.read(credentialFile), m.read(identityFile)

			date := map[string]string{"Date": time.Now().Add(off).UTC().Format(http.TimeFormat)}
			s.fault("", 0, action{Headers: date})
			s.cut(m)
			a.logged("relay.connected", 2)
			is.Equal(a.logged("clock.skew", 1).Level, "WARN")
			st := m.is("connected")
			is.True(st.ClockSkew != nil)
			is.True((time.Duration(*st.ClockSkew)*time.Second - off).Abs() < time.Minute)

			// Refused while the clocks differ: it counts for nothing.
			s.heal()
			s.fault("", 0, action{Status: 401, Headers: date})
			s.cut(m)
			began := time.Now()
			for n := 1; n < 10 || time.Since(began) < time.Second; n++ {
				is.Equal(a.logged("credential.refused", n).Class, "transient")
			}
			st = m.is("connecting")
			is.True(st.ClockSkew != nil)
			is.Equal(s.enrollments(), 1)
			is.True(bytes.Equal(m.read(credentialFile), credential))
			is.True(bytes.Equal(m.read(identityFile), identity))

			// Restarted, it still knows better than to enroll.
			a.kill()
			a = m.start()
			a.logged("credential.refused", 10)
			is.Equal(s.enrollments(), 1)
			s.heal()
			a.connected()
			a.logged("clock.skew", 2) // it is over
			st = m.is("connected")
			is.True((time.Duration(*st.ClockSkew) * time.Second).Abs() < time.Minute) // what a busy machine takes
			is.Equal(len(m.setAside()), 0)

			// The same refusal with the clocks right is believed.
			s.fault(relayPath, 0, action{Status: 401})
			s.cut(m)
			s.asked(enrollPath, 2)
		})
	}
}

func TestAFreshMachineEnrollsWhateverItsClockSays(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	date := map[string]string{"Date": time.Now().Add(-48 * time.Hour).UTC().Format(http.TimeFormat)}
	s.fault(enrollPath, 2, action{Status: 401, Headers: date}) // stays class operator
	s.fault("", 0, action{Headers: date})
	m := newMachine(t, s)
	m.delays(20*time.Millisecond, 40*time.Millisecond)
	a := m.start()
	is.Equal(a.logged("enroll.rejected", 1).Class, "operator")
	a.connected()
	a.logged("clock.skew", 1)
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 3)
}
