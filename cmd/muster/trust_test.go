package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/exitcode"
)

func TestAnErrorOfTrustNamesTheVariableThatIsSet(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // each client refuses it
	server.StartTLS()
	defer server.Close()
	pin := strings.Repeat("00", 32)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	manager, site := []string{"MUSTER_MANAGER_URL=" + server.URL}, []string{"MUSTER_SERVER_URL=" + server.URL, "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY=cek_aaaaaaaaaaaaaaaa"}
	for _, test := range []struct {
		about, environ []string
		says           string
	}{
		{manager, []string{"MUSTER_MANAGER_TRUST_SPKI_SHA256=" + pin}, "compare MUSTER_MANAGER_TRUST_SPKI_SHA256 with"},
		{manager, []string{"MUSTER_TRUST_SPKI_SHA256=" + pin}, "compare MUSTER_TRUST_SPKI_SHA256 with"},
		{manager, []string{"MUSTER_MANAGER_TRUST_CA_FILE=" + ca, "MUSTER_TRUST_SPKI_SHA256=" + pin}, "compare MUSTER_TRUST_SPKI_SHA256 with"},
		{manager, nil, "in MUSTER_TRUST_CA_FILE, or pin its key with MUSTER_TRUST_SPKI_SHA256"},
		{site, []string{"MUSTER_MANAGER_TRUST_SPKI_SHA256=" + pin}, "in MUSTER_TRUST_CA_FILE, or pin its key with MUSTER_TRUST_SPKI_SHA256"},
	} {
		is := is.New(t)
		code, out, _ := call(t, t.TempDir(), append(test.about, test.environ...), "enroll", "--wait", "0")
		is.Equal(code, exitcode.Error)
		if !strings.Contains(out, test.says) {
			t.Errorf("%v: not said: %s\n%s", test.environ, test.says, out)
		}
	}
}
