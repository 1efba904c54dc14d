package e2e

import (
	"strings"
	"testing"

	"github.com/matryer/is"
)

const legacyKey = "shared-by-all-of-them-since-2019"

func TestTheSharedKeyStillConnectsWithAWarning(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t, "--legacy-key", legacyKey)
	m := newMachine(t, s)
	delete(m.env, "MUSTER_SITE_CODE")
	delete(m.env, "MUSTER_ENROLLMENT_KEY")
	m.env["MUSTER_API_KEY"] = legacyKey
	a := m.start().connected()
	l := a.logged("legacy_api_key", 1)
	is.Equal(l.Level, "WARN")
	is.True(strings.Contains(l.Msg, "MUSTER_ENROLLMENT_KEY"))
	st := m.is("connected")
	is.True(st.Credential.Present)
	is.Equal(st.Credential.Source, "legacy")
	is.Equal(st.Enrollment.Site.State, "not_configured")
	is.Equal(s.enrollments(), 0)
	is.True(!m.stored())
	is.True(!leaks(a.log.String(), legacyKey))
	a.kill()

	// Site enrollment, once it is configured, comes before it.
	m.env["MUSTER_SITE_CODE"], m.env["MUSTER_ENROLLMENT_KEY"] = site, enrollmentKey
	a = m.start().connected()
	warned, _ := a.log.lines("legacy_api_key")
	is.Equal(len(warned), 0)
	is.Equal(s.enrollments(), 1)
	is.Equal(m.is("connected").Credential.Source, "enrolled")
}
