package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/e2e/control"
)

// commands are those that read the configuration.
var commands = [][]string{{"run"}, {"enroll"}, {"--enroll"}, {"status"}, {"status", "--json"}, {"config"}, {"identify"}, {"unenroll", "--yes"}}

func TestEveryProblemOfAConfigurationIsNamedInOneRun(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	m := newMachine(t, s)
	dir := t.TempDir()
	configFile := filepath.Join(dir, "agent.env")
	if err := os.WriteFile(configFile, []byte("MUSTER_SITECODE=ACME-HQ\nMUSTER_LOG_LEVEL=chatty\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"MUSTER_SERVER_URL": "ftp://127.0.0.1/", "MUSTER_SITE_CODE": "", "MUSTER_ENROLLMENT_KEY_FILE": configFile, "MUSTER_LOG_LEVEL": "",
		"MUSTER_API_KEY_FILE": filepath.Join(dir, "nowhere"), "MUSTER_TRUST_CA_FILE": dir, "MUSTER_OPERATOR_MIN": "soon", "MUSTER_DEV_INSECURE_TLS": "true",
	} {
		m.env[name] = value // an empty value counts as not set
	}
	for _, command := range commands {
		r := m.do(append(command, "--config", configFile)...)
		if r.code != 1 || r.out != "" {
			t.Errorf("muster %v: %v", command, r)
		}
		for _, part := range []string{
			"MUSTER_SERVER_URL", "https", "MUSTER_SITE_CODE", "MUSTER_SITECODE", "line 1", "MUSTER_ENROLLMENT_KEY_FILE", "MUSTER_LOG_LEVEL", "line 2",
			"MUSTER_API_KEY_FILE", filepath.Join(dir, "nowhere"), "MUSTER_TRUST_CA_FILE", "MUSTER_OPERATOR_MIN", "MUSTER_DEV_INSECURE_TLS",
		} {
			if !strings.Contains(r.errs, part) {
				t.Errorf("muster %v does not name %s: %v", command, part, r)
			}
		}
		if leaks(r.errs, enrollmentKey) {
			t.Errorf("muster %v shows a key: %v", command, r)
		}
	}
	if _, err := os.Stat(m.dir); !os.IsNotExist(err) {
		t.Errorf("a state directory was made: %v", err)
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestNothingConfiguredIsNoError(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := newMachine(t, nil)
	r := m.must(0, "run")
	for _, name := range []string{"MUSTER_SERVER_URL", "MUSTER_SITE_CODE", "MUSTER_ENROLLMENT_KEY", "not_configured"} {
		is.True(strings.Contains(r.out+r.errs, name))
	}
	r = m.must(1, "enroll")
	is.True(strings.Contains(r.out, "MUSTER_SERVER_URL"))
	is.True(strings.Contains(r.out, "MUSTER_MANAGER_URL"))
	is.True(strings.Contains(m.must(1, "renew-certs").out, "MUSTER_MANAGER_URL"))
	r = m.must(1, "status", "--json")
	is.True(strings.Contains(r.out, `"stopped"`) || strings.Contains(r.out, `"not_configured"`))
	m.must(0, "config")
}

func TestTheConfigurationComesFromFileEnvironmentAndFlags(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	write := func(name, text string) string {
		path := filepath.Join(m.home, name)
		is.NoErr(os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	file := write("agent.env", "# a machine of these tests\n"+
		"MUSTER_SERVER_URL="+s.URL+"/\nMUSTER_SITE_CODE=\""+site+"\"\nMUSTER_TRUST_CA_FILE='"+s.CA+"'\n"+
		"MUSTER_ENROLLMENT_KEY_FILE='"+write("key", enrollmentKey+"\n")+"'\nMUSTER_LOG_LEVEL=error\nMUSTER_STATE_DIR=/nowhere\nUNRELATED=1\n"+
		"MUSTER_LABEL_COMPANY=Acme\nMUSTER_LABEL_SITE=HQ\nMUSTER_LABEL_DEPARTMENT='Sales, Größe <&>'\nMUSTER_LABEL_DEVICE_TYPE=workstation\nMUSTER_LABEL_TAGS='laptop, finance'\n")
	m.env = map[string]string{"MUSTER_MACHINE_UID": m.uid, "MUSTER_LOG_LEVEL": "warn", "MUSTER_STATE_DIR": "/nowhere/else"}

	flags := []string{"--config", file, "--state-dir", m.dir, "--log-level", "debug", "--log-format", "json"}
	r := m.must(0, append([]string{"config"}, flags...)...)
	for name, want := range map[string][2]string{
		"MUSTER_SERVER_URL":     {s.URL, "file " + file},
		"MUSTER_SITE_CODE":      {site, "file " + file},
		"MUSTER_ENROLLMENT_KEY": {"", "file "},
		"MUSTER_MACHINE_UID":    {m.uid, "environment"},
		"MUSTER_STATE_DIR":      {m.dir, "flag"},
		"MUSTER_LOG_LEVEL":      {"debug", "flag"},
		"MUSTER_LOG_FORMAT":     {"json", "flag"},
		"MUSTER_TRANSIENT_MIN":  {"5s", "default"},
	} {
		found := false
		for line := range strings.Lines(r.out) {
			if strings.HasPrefix(line, name+" ") {
				found = strings.Contains(line, want[0]) && strings.Contains(line, want[1])
			}
		}
		if !found {
			t.Errorf("%s is not shown with %v:\n%s", name, want, r.out)
		}
	}
	is.True(!leaks(r.out+r.errs, enrollmentKey)) // no secret is shown

	a := m.start(append([]string{"run"}, flags...)...)
	a.connected()
	s.onlyMachine(m)
	is.True(m.stored())
	var sent struct{ Labels map[string]any }
	control.Decode(t, s.RequestsTo(enrollPath)[0].Body, &sent)
	matches(t, "labels", map[string]any{
		"company": "Acme", "site": "HQ", "department": "Sales, Größe <&>", "device_type": "workstation", "tags": []any{"laptop", "finance"},
	}, sent.Labels)
}
