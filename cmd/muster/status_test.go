package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/exitcode"
)

// A host that waits for approval is told so in a line; the paths of the files
// that are not there yet come with --verbose, and where nobody will bring them.
func TestStatusOfAHostThatWaitsForApproval(t *testing.T) {
	is := is.New(t)
	manager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(`{"polling_token":"a-token"}`)) // the client may have gone
			return
		}
		_, _ = w.Write([]byte(`{"status":"pending"}`)) // the same
	}))
	t.Cleanup(manager.Close)
	dir := t.TempDir()
	environ := []string{"MUSTER_MANAGER_URL=" + manager.URL, "MUSTER_REPORT_IP=192.0.2.7"}
	code, out, errs := call(t, dir, environ, "enroll", "--wait", "0")
	if code != exitcode.InProgress {
		t.Fatalf("code %d\n%s\n%s", code, out, errs)
	}
	_, out, _ = call(t, dir, environ, "status")
	is.True(strings.Contains(out, "certificate  missing (waiting for approval)\n"))
	is.True(!strings.Contains(out, "ca.pem")) // no path that helps nobody
	_, out, _ = call(t, dir, environ, "status", "--verbose")
	is.True(strings.Contains(out, "ca.pem is missing")) // asked for
}

func TestHelpNamesTheFlagsArgument(t *testing.T) {
	is := is.New(t)
	_, out, _ := call(t, t.TempDir(), nil, "--help")
	is.True(!strings.Contains(out, "DIRectory"))
	is.True(strings.Contains(out, "--state-dir DIR")) // and what it is
}
