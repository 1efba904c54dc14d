package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/exitcode"
)

// misspelt are variables of which none is known.
var misspelt = []string{"MUSTER_SERVERURL=https://enroll.example.org", "MUSTER_SITECODE=ACME-HQ"}

func TestRunNamesMisspeltVariablesBeforeItSaysThatNothingIsConfigured(t *testing.T) {
	is := is.New(t)
	code, _, errs := call(t, t.TempDir(), misspelt, "run")
	is.Equal(code, exitcode.Clean)
	warning, advice := strings.Index(errs, "MUSTER_SERVERURL"), strings.Index(errs, "event=not_configured")
	is.True(warning >= 0 && warning < advice)
	is.True(strings.Contains(errs, "the nearest known one is MUSTER_SERVER_URL"))
	is.True(strings.Contains(errs, "the nearest known one is MUSTER_SITE_CODE"))
	is.Equal(strings.Count(errs, "level=WARN"), len(misspelt)) // each once
}

func TestStatusNamesMisspeltVariablesOnStandardError(t *testing.T) {
	for _, args := range [][]string{{"status"}, {"status", "--json"}} {
		is := is.New(t)
		code, out, errs := call(t, t.TempDir(), misspelt, args...)
		is.Equal(code, exitcode.Error)
		is.True(strings.Contains(errs, "muster: warning: MUSTER_SERVERURL (environment)"))
		is.True(!strings.Contains(out, "MUSTER_SERVERURL"))
		if len(args) > 1 {
			is.True(json.Valid([]byte(out)))
		}
	}
}
