package app_test

import (
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

func TestEnrollCommandWithoutTheKeyThatWasForgotten(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*life)
		options app.EnrollOptions
		code    exitcode.Code
		says    string
		not     string
	}{
		"enrolled":                  {func(*life) {}, app.EnrollOptions{}, exitcode.Clean, "This machine is enrolled at https://enroll.example.org, site ACME-HQ. Nothing to do", "set "},
		"forced":                    {func(*life) {}, app.EnrollOptions{Force: true}, exitcode.Error, "set MUSTER_ENROLLMENT_KEY", "MUSTER_SERVER_URL"},
		"another site":              {func(l *life) { l.settings.SiteCode = "ACME-LAB" }, app.EnrollOptions{}, exitcode.Error, "set MUSTER_ENROLLMENT_KEY", "MUSTER_SITE_CODE"},
		"nothing is configured":     {func(l *life) { l.settings.ServerURL, l.settings.SiteCode = nil, "" }, app.EnrollOptions{}, exitcode.Error, "set MUSTER_SERVER_URL, MUSTER_SITE_CODE and MUSTER_ENROLLMENT_KEY", "\n\n"},
		"the stored key's server":   {func(l *life) { l.settings.SiteCode = "" }, app.EnrollOptions{}, exitcode.Error, "set MUSTER_SERVER_URL, MUSTER_SITE_CODE and MUSTER_ENROLLMENT_KEY", "\n\n"},
		"a server and a shared key": {func(l *life) { l.settings.SiteCode, l.settings.APIKey = "", ports.NewSecret("shared") }, app.EnrollOptions{}, exitcode.Error, "set MUSTER_SITE_CODE and MUSTER_ENROLLMENT_KEY", "MUSTER_SERVER_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				code, _ := l.enroll(t.Context(), app.EnrollOptions{})
				is.Equal(code, exitcode.Clean)
				l.settings.EnrollmentKey = ports.Secret{}
				test.prepare(l)
				code, said := l.enroll(t.Context(), test.options)
				if code != test.code || !strings.Contains(said, test.says) || strings.Contains(said, test.not) {
					t.Errorf("code %d, want %d; it said:\n%s", code, test.code, said)
				}
				is.Equal(len(l.site.Requests()), 1)
			})
		})
	}
}

func TestEnrollCommandWithoutTheKeyAtAManagerToo(t *testing.T) {
	liveAtManager(t, func(t *testing.T, is *is.I, c *certLife) {
		c.atSite()
		code, _ := c.enroll(t.Context(), app.EnrollOptions{})
		is.Equal(code, exitcode.Clean)
		c.settings.EnrollmentKey = ports.Secret{}
		code, said := c.enroll(t.Context(), app.EnrollOptions{})
		is.Equal(code, exitcode.Clean)
		is.True(strings.Contains(said, "This machine is enrolled"))
		is.True(strings.Contains(said, "The certificate is valid until"))
	})
}
