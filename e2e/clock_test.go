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
			credential := m.read(credentialFile)

			s.fault("", 0, action{Status: 401, Headers: map[string]string{"Date": time.Now().Add(off).UTC().Format(http.TimeFormat)}})
			s.cut(m)
			is.Equal(a.logged("clock.skew", 1).Level, "WARN")
			began := time.Now()
			for n := 1; n < 10 || time.Since(began) < time.Second; n++ {
				is.Equal(a.logged("credential.refused", n).Class, "transient")
			}
			st := m.is("connecting")
			is.True(st.ClockSkew != nil && (time.Duration(*st.ClockSkew)*time.Second-off).Abs() < time.Minute) // what a busy machine takes
			is.Equal(s.enrollments(), 1)
			is.True(bytes.Equal(m.read(credentialFile), credential)) // nothing is thrown away

			// The same refusal with the clocks right is believed.
			s.heal()
			s.fault(relayPath, 0, action{Status: 401})
			s.asked(enrollPath, 2)
		})
	}
}
