package envconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

const (
	enrollKey = "cek_Zq7Wm2Xk9Rt4Yp6Ls8Dv"
	uid       = "muid_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// write makes a file that only its owner may write.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// source is a configuration from an environment ("NAME=value" each) and a
// file's content. The file is always named, so that no test sees the
// machine's own.
func source(t *testing.T, file string, environ ...string) Source {
	t.Helper()
	return Source{Environ: environ, File: write(t, "agent.env", file)}
}

func load(t *testing.T, src Source) *Config {
	t.Helper()
	c, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// problems are those of a configuration that has to be refused.
func problems(t *testing.T, src Source) []string {
	t.Helper()
	c, err := Load(src)
	var e *Error
	if !errors.As(err, &e) || len(e.Problems) == 0 || c != nil {
		t.Fatalf("got %v, %v; want a nil Config and an *Error", c, err)
	}
	for _, p := range e.Problems {
		if !strings.Contains(e.Error(), p) {
			t.Errorf("%q is missing in %q", p, e.Error())
		}
	}
	return e.Problems
}

// expect asserts that there are as many problems as wanted ones, each holding
// all the words of one, separated by "|".
func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %d problems, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for _, words := range want {
		if !slices.ContainsFunc(got, func(p string) bool {
			for word := range strings.SplitSeq(words, "|") {
				if !strings.Contains(p, word) {
					return false
				}
			}
			return true
		}) {
			t.Errorf("no problem with %q in:\n%s", words, strings.Join(got, "\n"))
		}
	}
}

func value(t *testing.T, c *Config, name string) Value {
	t.Helper()
	for _, v := range c.Values() {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("there is no value %s", name)
	return Value{}
}

// caFile is a file with a certificate.
func caFile(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "ca.pem", "text before\n"+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// rowOf is one variable of the table test: good texts with what the settings
// then hold, and bad ones with a word of what is said about them.
type rowOf struct {
	of   func(s ports.Settings) any
	good map[string]any
	bad  map[string]string
}

func variableRows(t *testing.T) map[string]rowOf {
	ca, empty, dir := caFile(t), write(t, "empty.pem", ""), t.TempDir()
	nowhere := filepath.Join(dir, "nowhere.pem")
	hexPin := strings.Repeat("ab", 32)
	base64Pin := "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="
	pin := [32]byte(slices.Repeat([]byte{0xab}, 32))
	boolean := func(of func(s ports.Settings) any) rowOf {
		return rowOf{of, map[string]any{"true": true, "1": true, "false": false}, map[string]string{"maybe": "true nor false", "2": "true nor false"}}
	}
	line := func(of func(s ports.Settings) any) rowOf {
		return rowOf{of, map[string]any{"Zürich HQ": "Zürich HQ"}, map[string]string{"a\x07b": "control", "\xff": "UTF-8", enrollKey: "is a key"}}
	}
	file := func(of func(s ports.Settings) any) rowOf {
		return rowOf{of, map[string]any{"/x/y.pem": "/x/y.pem", "y.pem": "y.pem"}, map[string]string{"/x\n/y": "control", "https://h/ca.pem": "is a URL", "cak_" + enrollKey: "is a key"}}
	}
	trust := func(of func(s ports.Settings) any) rowOf {
		return rowOf{
			of,
			map[string]any{ca: ca},
			map[string]string{empty: "no certificate", dir: "regular file", nowhere: nowhere + " cannot be used: it does not exist", "nowhere.pem": "does not exist"},
		}
	}
	pins := func(of func(s ports.Settings) any) rowOf {
		return rowOf{
			of,
			map[string]any{hexPin: [][32]byte{pin}, strings.ToUpper(hexPin): [][32]byte{pin}, base64Pin + " , " + hexPin: [][32]byte{pin, pin}},
			map[string]string{
				hexPin + "0": "pin 1", hexPin[1:]: "pin 1", hexPin + ",x": "pin 2", hexPin + ",": "pin 2", ",": "pin 1",
				strings.Repeat("g", 64): "pin 1", strings.Repeat("?", 44): "pin 1", strings.Repeat("A", 44): "pin 1",
			},
		}
	}
	delay := func(of func(s ports.Settings) any, good string, want time.Duration) rowOf {
		return rowOf{of, map[string]any{good: want}, map[string]string{"5": "duration", "9ms": "at least 10ms", "-1s": "at least 10ms", "0": "at least 10ms", "soon": `"soon" is not a duration`}}
	}
	proxy := func(of func(s ports.Settings) any) rowOf {
		return rowOf{
			of,
			map[string]any{
				"http://proxy.example.org:3128": "http://proxy.example.org:3128", "proxy.example.org:3128": "proxy.example.org:3128",
				"https://me:pw@proxy.example.org": "https://me:pw@proxy.example.org", "socks5://10.0.0.1": "socks5://10.0.0.1", "10.0.0.1": "10.0.0.1",
			},
			map[string]string{"ftp://proxy.example.org": "scheme", "http://proxy:99999": "port", "http://": "no host", "a b": "proxy's URL", enrollKey: "is a key"},
		}
	}
	server := func(of func(s ports.Settings) any) rowOf {
		r := rowOf{
			of,
			map[string]any{
				"https://enroll.example.org": "https://enroll.example.org", "HTTPS://enroll.example.org:8443/prefix/": "https://enroll.example.org:8443/prefix/",
				"http://127.0.0.1:8080": "http://127.0.0.1:8080", "http://127.9.9.9": "http://127.9.9.9", "http://[::1]:80/x": "http://[::1]:80/x", "http://LocalHost": "http://LocalHost",
			},
			map[string]string{
				"ftp://enroll.example.org": `"ftp"`, "wss://enroll.example.org": `"wss"`, "enroll.example.org": "https://", "https://": "no host", "https:///x": "no host",
				"https:enroll.example.org": "no host", "https://me@enroll.example.org": "user name", "https://:pw@enroll.example.org": "user name", "https://h?a=b": "query", "https://h?": "query",
				"https://h#f": "fragment", "https://h:99999": "port", "https://h:0": "port", "https://h:x": "not a URL", "https://h\x7f": "not a URL",
			},
		}
		if !devBuild {
			for _, u := range []string{
				"http://enroll.example.org", "http://10.0.0.1", "http://127.0.0.1.example.org", "http://localhost.example.org", "http://[::ffff:127.0.0.1]", "http://[::1%25lo]", "http://0.0.0.0",
			} {
				r.bad[u] = "use https"
			}
		}
		return r
	}
	text := func(u interface{ String() string }) string { return u.String() }

	rows := map[string]rowOf{
		"MUSTER_SERVER_URL": server(func(s ports.Settings) any { return text(s.ServerURL) }),
		"MUSTER_SITE_CODE":  line(func(s ports.Settings) any { return s.SiteCode }),
		"MUSTER_ENROLLMENT_KEY": {
			func(s ports.Settings) any { return s.EnrollmentKey.Reveal() },
			map[string]any{enrollKey: enrollKey},
			map[string]string{"cek_": "begin with cek_", "key": "begin with cek_", "cak_" + enrollKey: "begin with cek_", enrollKey + "\r": "control", "cek_a b": "spaces", "cek_a\u00a0b": "spaces", "cek_\xff": "control"},
		},
		"MUSTER_FORGET_ENROLLMENT_KEY": boolean(func(s ports.Settings) any { return s.ForgetEnrollmentKey }),
		"MUSTER_REENROLL_AFTER": {
			func(s ports.Settings) any { return s.ReenrollAfter },
			map[string]any{"0": time.Duration(0), "90m": 90 * time.Minute},
			map[string]string{"-1h": "0 (never) or more", "24": "duration", "never": "duration"},
		},
		"MUSTER_MACHINE_UID": {
			func(s ports.Settings) any { return s.MachineUID },
			map[string]any{uid: uid},
			map[string]string{uid[:68]: "64", uid + "0": "64", strings.ToUpper(uid): "64", uid[5:]: "64", "muid_" + strings.Repeat("A", 64): "64"},
		},
		"MUSTER_API_KEY": {
			func(s ports.Settings) any { return s.APIKey.Reveal() },
			map[string]any{"old-shared-key": "old-shared-key", "cak_0123456789abcdefghij": "cak_0123456789abcdefghij"},
			map[string]string{"a b": "spaces", "a\tb": "spaces", "a\x00": "control", enrollKey: "move it to MUSTER_ENROLLMENT_KEY"},
		},
		"MUSTER_LABEL_COMPANY":     line(func(s ports.Settings) any { return s.Labels.Company }),
		"MUSTER_LABEL_SITE":        line(func(s ports.Settings) any { return s.Labels.Site }),
		"MUSTER_LABEL_DEPARTMENT":  line(func(s ports.Settings) any { return s.Labels.Department }),
		"MUSTER_LABEL_DEVICE_TYPE": line(func(s ports.Settings) any { return s.Labels.DeviceType }),
		"MUSTER_LABEL_TAGS": {
			func(s ports.Settings) any { return s.Labels.Tags },
			map[string]any{" laptop, finance,,two words ,": []string{"laptop", "finance", "two words"}, " ,": []string(nil)},
			map[string]string{"a\x01,b": "control"},
		},
		"MUSTER_AGENT_ID": {
			func(s ports.Settings) any { return s.AgentID },
			map[string]any{"123E4567-e89b-12d3-a456-426614174000": "123e4567-e89b-12d3-a456-426614174000"},
			map[string]string{"123e4567e89b12d3a456426614174000": "UUID", "123e4567-e89b-12d3-a456-42661417400g": "UUID", "{123e4567-e89b-12d3-a456-426614174000}": "UUID"},
		},
		"MUSTER_RELAY_URL": {
			func(s ports.Settings) any { return text(s.RelayURL) },
			map[string]any{
				"wss://relay.example.org": "wss://relay.example.org/ws/agent", "https://relay.example.org/": "https://relay.example.org/ws/agent", "wss://relay.example.org/own/end": "wss://relay.example.org/own/end",
				"ws://127.0.0.1:80": "ws://127.0.0.1:80/ws/agent", "http://localhost/x": "http://localhost/x",
			},
			map[string]string{"ftp://relay": `"ftp"`, "wss://me:pw@relay": "user name", "wss://relay?api_key=x": "query", "wss://": "no host"},
		},
		"MUSTER_RELAY_AUTH": {
			func(s ports.Settings) any { return s.RelayAuthHeader },
			map[string]any{"query": false, "header": true},
			map[string]string{"Header": "query, header", "cookie-jar": "the value is none of query, header"},
		},
		"MUSTER_MANAGER_URL": server(func(s ports.Settings) any { return text(s.ManagerURL) }),
		"MUSTER_POLLING_INTERVAL": {
			func(s ports.Settings) any { return s.PollingInterval },
			map[string]any{"1s": time.Second, "1h": time.Hour},
			map[string]string{"999ms": "from 1s to 1h", "61m": "at most 1h", "0": "more than 0", "-1s": "more than 0", "60": "duration"},
		},
		"MUSTER_MAX_POLL_ATTEMPTS": {
			func(s ports.Settings) any { return s.MaxPollAttempts },
			map[string]any{"1": 1, "1440": 1440},
			map[string]string{"0": "1 to 1440", "1441": "1 to 1440", "-1": "1 to 1440", "1.5": "1 to 1440", "99999999999999999999": "1 to 1440"},
		},
		"MUSTER_CERT_RENEWAL_THRESHOLD_DAYS": {
			func(s ports.Settings) any { return s.RenewalThreshold },
			map[string]any{"0": time.Duration(0), "30": 720 * time.Hour, "36500": 36500 * 24 * time.Hour},
			map[string]string{"-1": "0 to 36500", "7d": "0 to 36500", "36501": "0 to 36500"},
		},
		"MUSTER_CA_CERT":     file(func(s ports.Settings) any { return s.CACertFile }),
		"MUSTER_SERVER_CERT": file(func(s ports.Settings) any { return s.ServerCertFile }),
		"MUSTER_SERVER_KEY":  file(func(s ports.Settings) any { return s.ServerKeyFile }),
		"MUSTER_CRL":         file(func(s ports.Settings) any { return s.CRLFile }),
		"MUSTER_REPORT_IP": {
			func(s ports.Settings) any { return s.ReportIP },
			map[string]any{"10.20.0.7": "10.20.0.7", "2001:DB8::7": "2001:db8::7"},
			map[string]string{"web-3": `"web-3"`, "10.20.0.7/8": "IP address", "fe80::1%eth0": "IP address", "0.0.0.0": "IP address", "10.1": "IP address"},
		},
		"MUSTER_REPORT_INTERFACE": line(func(s ports.Settings) any { return s.ReportInterface }),
		"MUSTER_LISTEN_ADDR": {
			func(s ports.Settings) any { return s.ListenAddr },
			map[string]any{"off": "off", ":0": ":0", "10.0.0.1:12443": "10.0.0.1:12443", "[::1]:443": "[::1]:443"},
			map[string]string{"12443": "port", "::1:443": "port", ":65536": "port", ":https": "port", "OFF": "port"},
		},
		"MUSTER_METRICS_ADDR": {
			func(s ports.Settings) any { return s.MetricsAddr },
			map[string]any{"127.0.0.1:9100": "127.0.0.1:9100"},
			map[string]string{"off": "port", "9100": "port"},
		},
		"MUSTER_TRUST_CA_FILE":             trust(func(s ports.Settings) any { return s.TrustCAFile }),
		"MUSTER_MANAGER_TRUST_CA_FILE":     trust(func(s ports.Settings) any { return s.ManagerTrustCAFile }),
		"MUSTER_TRUST_SPKI_SHA256":         pins(func(s ports.Settings) any { return s.TrustSPKISHA256 }),
		"MUSTER_MANAGER_TRUST_SPKI_SHA256": pins(func(s ports.Settings) any { return s.ManagerTrustSPKISHA256 }),
		"HTTPS_PROXY":                      proxy(func(s ports.Settings) any { return s.Proxy.HTTPS.Reveal() }),
		"HTTP_PROXY":                       proxy(func(s ports.Settings) any { return s.Proxy.HTTP.Reveal() }),
		"NO_PROXY":                         line(func(s ports.Settings) any { return s.Proxy.No }),
		"MUSTER_STATE_DIR": {
			func(s ports.Settings) any { return s.StateDir },
			map[string]any{dir: dir, dir + "/a/../b/": filepath.Join(dir, "b")},
			map[string]string{"/a\nb": "control", "file:///a": "is a URL"},
		},
		"MUSTER_LOG_LEVEL": {
			func(s ports.Settings) any { return s.LogLevel },
			map[string]any{"debug": "debug", "info": "info", "warn": "warn", "error": "error"},
			map[string]string{"INFO": `"INFO" is none of debug, info, warn, error`, "trace": "none of"},
		},
		"MUSTER_LOG_FORMAT": {
			func(s ports.Settings) any { return s.LogFormat },
			map[string]any{"text": "text", "json": "json"},
			map[string]string{"xml": "text, json"},
		},
		"MUSTER_TRANSIENT_MIN": delay(func(s ports.Settings) any { return s.Delays.Transient.Min }, "10ms", 10*time.Millisecond),
		"MUSTER_TRANSIENT_MAX": delay(func(s ports.Settings) any { return s.Delays.Transient.Max }, "5s", 5*time.Second),
		"MUSTER_PENDING_MIN":   delay(func(s ports.Settings) any { return s.Delays.Pending.Min }, "10m", 10*time.Minute),
		"MUSTER_PENDING_MAX":   delay(func(s ports.Settings) any { return s.Delays.Pending.Max }, "1h", time.Hour),
		"MUSTER_OPERATOR_MIN":  delay(func(s ports.Settings) any { return s.Delays.Operator.Min }, "1s", time.Second),
		"MUSTER_OPERATOR_MAX":  delay(func(s ports.Settings) any { return s.Delays.Operator.Max }, "24h", 24*time.Hour),
	}
	if devBuild {
		rows["MUSTER_DEV_INSECURE_TLS"] = boolean(func(s ports.Settings) any { return s.DevInsecureTLS })
		rows["MUSTER_DEV_INSECURE_HTTP"] = boolean(func(s ports.Settings) any { return s.DevInsecureHTTP })
	}
	return rows
}

// companions are set beside a variable that would be half an enrollment by
// itself.
func companions(name string) []string {
	switch name {
	case "MUSTER_SERVER_URL":
		return []string{"MUSTER_SITE_CODE=ACME", "MUSTER_ENROLLMENT_KEY=" + enrollKey}
	case "MUSTER_SITE_CODE":
		return []string{"MUSTER_SERVER_URL=https://h", "MUSTER_ENROLLMENT_KEY=" + enrollKey}
	case "MUSTER_ENROLLMENT_KEY":
		return []string{"MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=ACME"}
	case "MUSTER_API_KEY":
		return []string{"MUSTER_SERVER_URL=https://h"}
	}
	return nil
}

func TestEveryVariable(t *testing.T) {
	t.Parallel()
	rows := variableRows(t)
	for _, name := range variableNames() {
		row, ok := rows[name]
		if strings.HasSuffix(name, "_KEY_FILE") || !devBuild && strings.HasPrefix(name, devPrefix) {
			continue // TestSecretFiles, TestDevBuildsOnly
		}
		if !ok {
			t.Errorf("%s has no row in this test", name)
			continue
		}
		for text, want := range row.good {
			c := load(t, source(t, "", append(companions(name), name+"="+text)...))
			if got := row.of(c.Settings()); !reflect.DeepEqual(got, want) {
				t.Errorf("%s=%q gave %v, want %v", name, text, got, want)
			}
			if from := value(t, c, name).From; from != FromEnvironment {
				t.Errorf("%s=%q is said to be from %q", name, text, from)
			}
		}
		for text, word := range row.bad {
			got := problems(t, source(t, "", append(companions(name), name+"="+text)...))
			if len(got) != 1 || !strings.HasPrefix(got[0], name+" (environment): ") || !strings.Contains(got[0], word) {
				t.Errorf("%s=%q: want one problem with %q, got:\n%s", name, text, word, strings.Join(got, "\n"))
			}
			if len(text) > 8 && !filepath.IsAbs(text) && strings.Contains(got[0], text) {
				t.Errorf("%s=%q: the value is repeated in %q", name, text, got[0])
			}
		}
	}
}

// The parser of the library repeats values in its errors for the types that
// it knows; bool is the one that misparsed translates.
func TestTableHoldsOnlyOwnForms(t *testing.T) {
	t.Parallel()
	table := reflect.TypeFor[variables]()
	for i := range table.NumField() {
		f := table.Field(i)
		if f.Type.Kind() != reflect.Bool && !reflect.PointerTo(f.Type).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			t.Errorf("%s: %v does not read its own text", f.Name, f.Type)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := load(t, source(t, ""))
	state := "/var/lib/muster"
	if runtime.GOOS == "windows" {
		state = `C:\ProgramData\Muster`
	}
	is.Equal(c.Settings(), ports.Settings{
		ReenrollAfter:    24 * time.Hour,
		PollingInterval:  time.Minute,
		MaxPollAttempts:  1440,
		RenewalThreshold: 7 * 24 * time.Hour,
		CACertFile:       filepath.Join(state, "certs", "ca.pem"),
		ServerCertFile:   filepath.Join(state, "certs", "server.pem"),
		ServerKeyFile:    filepath.Join(state, "certs", "server.key.pem"),
		CRLFile:          filepath.Join(state, "certs", "crl.pem"),
		ListenAddr:       ":12443",
		StateDir:         state,
		LogLevel:         "info",
		LogFormat:        "text",
		Delays: ports.DelayPolicy{
			Transient: ports.Delays{Min: 5 * time.Second, Max: 5 * time.Minute},
			Pending:   ports.Delays{Min: time.Minute, Max: 10 * time.Minute},
			Operator:  ports.Delays{Min: 15 * time.Minute, Max: 6 * time.Hour},
		},
	})
	is.Equal(c.Warnings, nil)
	is.True(c.NothingConfigured())
	for _, v := range c.Values() {
		is.True(v.From == FromDefault && v.Value != "" || v.From == FromUnset && v.Value == "") // nothing was set
	}
	is.Equal(len(c.Values()), len(variableNames()))
}

func TestNothingConfigured(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{
		{"MUSTER_MANAGER_URL=https://h"},
		{"MUSTER_SERVER_URL=https://h", "MUSTER_API_KEY=old"},
		{"MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY=" + enrollKey},
	} {
		if load(t, source(t, "", environ...)).NothingConfigured() {
			t.Errorf("%v: nothing is configured", environ)
		}
	}
	if !load(t, source(t, "", "MUSTER_LOG_LEVEL=debug")).NothingConfigured() {
		t.Error("a log level is something to serve")
	}
}

func TestStateDirectory(t *testing.T) {
	is := is.New(t)
	is.Equal(load(t, source(t, "", "STATE_DIRECTORY=/run/a")).Settings().StateDir, absolute(t, "/run/a"))
	if runtime.GOOS != "windows" {
		c := load(t, source(t, "", "STATE_DIRECTORY=/run/a:/run/b"))
		is.Equal(c.Settings().StateDir, "/run/a") // the first
		is.Equal(c.Settings().CRLFile, "/run/a/certs/crl.pem")
		is.Equal(value(t, c, "MUSTER_STATE_DIR").From, FromDefault)
	}
	t.Chdir(t.TempDir())
	is.Equal(load(t, source(t, "", "STATE_DIRECTORY=/run/a", "MUSTER_STATE_DIR=state")).Settings().StateDir, absolute(t, "state"))
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestPrecedenceAndProvenance(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	src := source(
		t, "MUSTER_LOG_LEVEL=error\nMUSTER_LOG_FORMAT=json\nMUSTER_LABEL_SITE=file\nMUSTER_LABEL_COMPANY=file\nOTHER=ignored\nhttps_proxy=ignored\nHTTP_PROXY=file:1\n",
		"MUSTER_LOG_LEVEL=warn", "MUSTER_LABEL_SITE=environment", "MUSTER_LABEL_COMPANY=", "https_proxy=lower:1", "no_proxy=lower", "NO_PROXY=upper",
	)
	src.Flags = map[string]string{"MUSTER_LOG_LEVEL": "debug", "MUSTER_LOG_FORMAT": ""}
	c := load(t, src)
	file := "file " + src.File
	for _, want := range []Value{
		{"MUSTER_LOG_LEVEL", "debug", FromFlag},
		{"MUSTER_LOG_FORMAT", "json", file}, // an empty flag is not set
		{"MUSTER_LABEL_SITE", "environment", FromEnvironment},
		{"MUSTER_LABEL_COMPANY", "file", file}, // an empty variable is not set
		{"MUSTER_LABEL_DEPARTMENT", "", FromUnset},
		{"MUSTER_LISTEN_ADDR", ":12443", FromDefault},
		{"HTTPS_PROXY", "http://lower:1", FromEnvironment},
		{"HTTP_PROXY", "http://file:1", file},
		{"NO_PROXY", "upper", FromEnvironment},
	} {
		is.Equal(value(t, c, want.Name), want)
	}
	is.Equal(c.Settings().LogLevel, "debug")
	is.Equal(c.Settings().Proxy.HTTPS.Reveal(), "lower:1")
	is.Equal(c.Warnings, nil)
}

func TestManagerTrustDefaultsToTheOthers(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	pin, ca := strings.Repeat("0c", 32), caFile(t)
	c := load(t, source(t, "", "MUSTER_TRUST_CA_FILE="+ca, "MUSTER_TRUST_SPKI_SHA256="+pin))
	is.Equal(c.Settings().ManagerTrustCAFile, ca)
	is.Equal(c.Settings().ManagerTrustSPKISHA256, c.Settings().TrustSPKISHA256)
	is.Equal(value(t, c, "MUSTER_MANAGER_TRUST_CA_FILE"), Value{"MUSTER_MANAGER_TRUST_CA_FILE", ca, FromDefault})

	// A bad file is reported once, where it was set.
	expect(t, problems(t, source(t, "", "MUSTER_TRUST_CA_FILE=/nowhere/ca.pem")), "MUSTER_TRUST_CA_FILE (environment)")
}

func TestRanges(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := load(t, source(t, "", "MUSTER_POLLING_INTERVAL=20ms", "MUSTER_MANAGER_URL=http://127.0.0.1:1"))
	is.Equal(c.Settings().PollingInterval, 20*time.Millisecond)
	expect(t, problems(t, source(t, "", "MUSTER_POLLING_INTERVAL=20ms", "MUSTER_MANAGER_URL=https://manager.example.org")), "MUSTER_POLLING_INTERVAL|from 1s")

	load(t, source(t, "", "MUSTER_PENDING_MIN=10ms", "MUSTER_PENDING_MAX=10ms"))
	expect(t, problems(t, source(t, "", "MUSTER_PENDING_MIN=2s", "MUSTER_PENDING_MAX=1s")), "MUSTER_PENDING_MIN (environment)|is 2s, above MUSTER_PENDING_MAX, which is 1s")
	expect(t, problems(t, source(t, "", "MUSTER_TRANSIENT_MAX=1s")), "MUSTER_TRANSIENT_MAX (environment)|MUSTER_TRANSIENT_MIN is 5s")
	expect(t, problems(t, source(t, "", "MUSTER_OPERATOR_MIN=7h")), "MUSTER_OPERATOR_MIN (environment)|which is 6h")
}

func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	src := source(t, "# comment\nMUSTER_SITECODE=x\nPATH=x\n", "MUSTER_SEVER_URL=x", "MUSTER_PORT_443_TCP=tcp://10.0.0.1:443", "MUSTERX=1")
	expect(t, problems(t, src), "MUSTER_SITECODE (file "+src.File+", line 2)|MUSTER_SITE_CODE")

	c := load(t, source(t, "", "MUSTER_SEVER_URL=x", "MUSTER_LOGLEVEL=", "MUSTER_"+enrollKey+"=x", "MUSTERX=1"))
	is.Equal(len(c.Warnings), 3)
	expect(t, c.Warnings, "MUSTER_SEVER_URL (environment)|nearest known one is MUSTER_SERVER_URL|ignored", "MUSTER_LOGLEVEL (environment)|MUSTER_LOG_LEVEL", "MUSTER_[redacted]")

	expect(t, problems(t, Source{File: src.File, Flags: map[string]string{"MUSTER_NOTHING": "x"}}), "MUSTER_SITECODE", "MUSTER_NOTHING (flag)")
}

func TestNearest(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	known := variableNames()
	for name, want := range map[string]string{
		"MUSTER_SITE_CODES":         "MUSTER_SITE_CODE",
		"MUSTER_ENROLMENT_KEY":      "MUSTER_ENROLLMENT_KEY",
		"MUSTER_ENROLLMENT_KEYFILE": "MUSTER_ENROLLMENT_KEY_FILE",
		"MUSTER_LOG_LVL":            "MUSTER_LOG_LEVEL",
		"MUSTER_LABEL_TAG":          "MUSTER_LABEL_TAGS",
		"MUSTER_SERVERCERT":         "MUSTER_SERVER_CERT",
	} {
		is.Equal(nearest(name, known), want)
	}
	is.Equal(distance("kitten", "sitting"), 3)
	is.Equal(distance("", "abc"), 3)
	is.Equal(distance("abc", ""), 3)
}

func TestHalfConfiguredSite(t *testing.T) {
	t.Parallel()
	const server, site, key, shared = "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY=" + enrollKey, "MUSTER_API_KEY=old"
	nowhere := filepath.Join(t.TempDir(), "key")
	for _, row := range []struct {
		environ []string
		fresh   string // what is said without a stored credential
		stored  string // and with one
	}{
		{environ: []string{server, site, key}},
		{[]string{server, site}, "KEY (or MUSTER_ENROLLMENT_KEY_FILE) missing", ""},
		{[]string{server, key}, "SITE_CODE missing", "SITE_CODE missing"},
		{[]string{site, key}, "SERVER_URL missing", "SERVER_URL missing"},
		{[]string{server}, "SITE_CODE and MUSTER_ENROLLMENT_KEY (or MUSTER_ENROLLMENT_KEY_FILE) missing", "SITE_CODE missing"},
		{[]string{site}, "SERVER_URL and MUSTER_ENROLLMENT_KEY (or MUSTER_ENROLLMENT_KEY_FILE) missing", "SERVER_URL missing"},
		{[]string{key}, "SERVER_URL and MUSTER_SITE_CODE missing", "SERVER_URL and MUSTER_SITE_CODE missing"},
		{environ: []string{server, shared}},
		{environ: []string{server, site, key, shared}},
		{[]string{server, site, shared}, "KEY (or MUSTER_ENROLLMENT_KEY_FILE) missing", ""},
		{[]string{shared}, "set MUSTER_SERVER_URL", ""},
		{environ: []string{shared, "MUSTER_RELAY_URL=wss://h"}},
		{environ: []string{"MUSTER_MANAGER_URL=https://h"}},
		// What was given with a bad value is not missing.
		{[]string{"MUSTER_SERVER_URL=ftp://h", site, key}, "ftp", "ftp"},
		{[]string{server, "MUSTER_SITE_CODE=" + enrollKey, key}, "MUSTER_SITE_CODE (environment): the value is a key", "is a key"},
		{[]string{server, site, "MUSTER_ENROLLMENT_KEY_FILE=" + enrollKey}, "is a key", "is a key"},
		{[]string{server, site, "MUSTER_ENROLLMENT_KEY_FILE=" + nowhere}, "MUSTER_ENROLLMENT_KEY_FILE (environment): " + nowhere + " cannot be used: it does not exist", ""},
		{[]string{server, "MUSTER_API_KEY_FILE=" + nowhere}, "MUSTER_API_KEY_FILE (environment): " + nowhere, ""},
	} {
		src := source(t, "", row.environ...)
		for _, stored := range []bool{false, true} {
			want := row.fresh
			if stored {
				want = row.stored
				src.CredentialStored = func(string) bool { return true }
			}
			if want == "" {
				load(t, src)
			} else if got := problems(t, src); len(got) != 1 || !strings.Contains(got[0], want) {
				t.Errorf("%v, stored %v: want %q, got:\n%s", row.environ, stored, want, strings.Join(got, "\n"))
			}
		}
	}
}

func TestCredentialStoredIsAskedOnceWithTheDirectory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir, asked := t.TempDir(), []string(nil)
	src := source(t, "", "MUSTER_STATE_DIR="+dir, "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY_FILE=/nowhere/key")
	src.CredentialStored = func(dir string) bool {
		asked = append(asked, dir)
		return true
	}
	load(t, src)
	is.Equal(asked, []string{dir})

	asked = nil
	src.Environ = append(src.Environ, "MUSTER_ENROLLMENT_KEY="+enrollKey)
	src.Environ = slices.DeleteFunc(src.Environ, func(e string) bool { return strings.Contains(e, "_FILE=") })
	load(t, src)
	is.Equal(asked, nil) // a complete configuration does not need it
}

func TestSecretFiles(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	site := []string{"MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A"}
	with := func(more ...string) Source { return source(t, "", slices.Concat(site, more)...) }

	for _, content := range []string{enrollKey, enrollKey + "\n", enrollKey + "\r\n"} {
		file := write(t, "key", content)
		c := load(t, with("MUSTER_ENROLLMENT_KEY_FILE="+file))
		is.Equal(c.Settings().EnrollmentKey.Reveal(), enrollKey)
		is.Equal(c.Settings().EnrollmentKeyFile, file)
		is.Equal(value(t, c, "MUSTER_ENROLLMENT_KEY"), Value{"MUSTER_ENROLLMENT_KEY", redacted, "file " + file})
		is.Equal(value(t, c, "MUSTER_ENROLLMENT_KEY_FILE"), Value{"MUSTER_ENROLLMENT_KEY_FILE", file, FromEnvironment})
	}
	shared := write(t, "shared", "old-key\n")
	c := load(t, source(t, "MUSTER_API_KEY_FILE='"+shared+"'", site[0]))
	is.Equal(c.Settings().APIKey.Reveal(), "old-key")
	is.Equal(c.Settings().EnrollmentKeyFile, "")

	// Both twins, whatever the sources.
	file := write(t, "key", enrollKey)
	src := with("MUSTER_ENROLLMENT_KEY=" + enrollKey)
	src.File = write(t, "agent.env", "\nMUSTER_ENROLLMENT_KEY_FILE='"+file+"'")
	expect(t, problems(t, src), "MUSTER_ENROLLMENT_KEY_FILE (file "+src.File+", line 2)|MUSTER_ENROLLMENT_KEY (environment) is given too")
	expect(t, problems(t, source(t, "", site[0], "MUSTER_API_KEY=a", "MUSTER_API_KEY_FILE="+shared)), "MUSTER_API_KEY_FILE|MUSTER_API_KEY (environment) is given too")

	for content, word := range map[string]string{
		"":                                       "it is empty",
		"\n":                                     "it is empty",
		strings.Repeat("a", 64<<10+1):            "longer than 64 KiB",
		"cek_a b":                                "spaces",
		"cek_a\nb":                               "control characters",
		"wrong-" + enrollKey:                     "cek_",
		"cek_" + strings.Repeat("a", 10) + " \n": "spaces",
	} {
		file := write(t, "key", content)
		expect(t, problems(t, with("MUSTER_ENROLLMENT_KEY_FILE="+file)), "MUSTER_ENROLLMENT_KEY|"+file+"|"+word)
	}
	load(t, with("MUSTER_ENROLLMENT_KEY_FILE="+write(t, "key", "cek_"+strings.Repeat("a", 64<<10-4))))
	expect(t, problems(t, with("MUSTER_ENROLLMENT_KEY_FILE="+t.TempDir())), "regular file")

	// With a stored credential the key may be gone.
	src = with("MUSTER_ENROLLMENT_KEY_FILE=" + write(t, "key", ""))
	src.CredentialStored = func(string) bool { return true }
	is.True(load(t, src).Settings().EnrollmentKey.Empty())
	is.Equal(load(t, src).Settings().EnrollmentKeyFile, "")
}

func TestCredentialsDirectory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	key := write(t, "enrollment_key", enrollKey+"\n")
	dir := filepath.Dir(key)
	site := []string{"MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "CREDENTIALS_DIRECTORY=" + dir}

	c := load(t, source(t, "", site...))
	is.Equal(c.Settings().EnrollmentKey.Reveal(), enrollKey)
	is.Equal(c.Settings().EnrollmentKeyFile, key)
	is.Equal(value(t, c, "MUSTER_ENROLLMENT_KEY"), Value{"MUSTER_ENROLLMENT_KEY", redacted, FromCredentials})

	c = load(t, source(t, "", append(site, "MUSTER_ENROLLMENT_KEY=cek_other")...))
	is.Equal(c.Settings().EnrollmentKey.Reveal(), "cek_other")
	is.Equal(c.Settings().EnrollmentKeyFile, "")

	is.NoErr(os.WriteFile(key, nil, 0o600))
	expect(t, problems(t, source(t, "", site...)), "MUSTER_ENROLLMENT_KEY (or") // an empty one is none
	is.NoErr(os.Remove(key))
	expect(t, problems(t, source(t, "", site...)), "MUSTER_ENROLLMENT_KEY (or")
	load(t, source(t, "", "CREDENTIALS_DIRECTORY="+dir))
	is.NoErr(os.Mkdir(key, 0o700))
	expect(t, problems(t, source(t, "", site...)), "$CREDENTIALS_DIRECTORY/enrollment_key|regular file")
	is.NoErr(os.Remove(key))
	is.NoErr(os.WriteFile(key, []byte("not-an-enrollment-key"), 0o600))
	expect(t, problems(t, source(t, "", site...)), "MUSTER_ENROLLMENT_KEY (credential directory)|cek_")
}

func TestConfigurationFile(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	missing := filepath.Join(t.TempDir(), "agent.env")
	expect(t, problems(t, Source{File: missing}), "file "+missing+"|does not exist")
	expect(t, problems(t, Source{File: t.TempDir()}), "regular file")

	c := load(t, source(t, "\ufeff; made on Windows\r\nMUSTER_LABEL_SITE = \"H Q\"\r\nMUSTER_LOG_LEVEL=debug\r\n"))
	is.Equal(c.Settings().Labels.Site, "H Q")
	is.Equal(c.Settings().LogLevel, "debug")

	c = load(t, source(t, "MUSTER_LOG_LEVEL=debug\nMUSTER_LOG_LEVEL=warn\nMUSTER_LOG_FORMAT=json\nMUSTER_LOG_FORMAT=\n"))
	is.Equal(c.Settings().LogLevel, "warn")  // the last one counts
	is.Equal(c.Settings().LogFormat, "text") // an empty one too

	big := write(t, "big.env", "#"+strings.Repeat("x", 1<<20-1))
	load(t, Source{File: big})
	is.NoErr(os.WriteFile(big, []byte("#"+strings.Repeat("x", 1<<20)), 0o600))
	expect(t, problems(t, Source{File: big}), "longer than 1024 KiB")
	is.NoErr(os.WriteFile(big, []byte("MUSTER_LOG_LEVEL=debug\x00"), 0o600))
	expect(t, problems(t, Source{File: big}), "line 1|NUL")

	// A bad line hides no other problem.
	expect(t, problems(t, source(t, "export MUSTER_SITE_CODE=A\nMUSTER_LOG_LEVEL=loud\nno assignment\n1A=b\nA='")),
		"line 1|export", "MUSTER_LOG_LEVEL|line 2", "line 3|no \"=\"", "line 4|no variable's name", "line 5|quote")
}

func TestDefaultFileMayBeMissing(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(defaultFile(environmentMap(os.Environ()))); !errors.Is(err, fs.ErrNotExist) {
		t.Skip("this machine has a configuration of its own")
	}
	if _, err := Load(Source{}); err != nil {
		t.Error(err)
	}
}

func TestDevBuildsOnly(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	environ := []string{"MUSTER_DEV_INSECURE_HTTP=true", "MUSTER_DEV_INSECURE_TLS=true", "MUSTER_MANAGER_URL=http://manager.example.org", "MUSTER_RELAY_URL=ws://relay.example.org"}
	if devBuild {
		s := load(t, source(t, "", environ...)).Settings()
		is.True(s.DevInsecureHTTP && s.DevInsecureTLS)
		is.Equal(s.ManagerURL.String(), "http://manager.example.org")
		expect(t, problems(t, source(t, "", environ[2:]...)), "MUSTER_MANAGER_URL|use https", "MUSTER_RELAY_URL|use wss")
		return
	}
	expect(t, problems(t, source(t, "MUSTER_DEV_INSECURE_TLS=false", environ...)),
		"MUSTER_DEV_INSECURE_HTTP (environment)|build", "MUSTER_DEV_INSECURE_TLS (environment)|build", "MUSTER_DEV_INSECURE_TLS (file|line 1",
		"MUSTER_MANAGER_URL|use https", "MUSTER_RELAY_URL|use wss")
	expect(t, problems(t, source(t, "", "MUSTER_DEV_INSECURE_TLS=")), "MUSTER_DEV_INSECURE_TLS") // naming it is enough
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	file := write(t, "key", enrollKey)
	src := source(
		t, "MUSTER_SITECODE=ACME\nMUSTER_LOG_FORMAT=xml\nnonsense\n",
		"MUSTER_SERVER_URL=ftp://enroll.example.org", "MUSTER_ENROLLMENT_KEY="+enrollKey, "MUSTER_ENROLLMENT_KEY_FILE="+file,
		"MUSTER_TRUST_CA_FILE=/nowhere/ca.pem", "MUSTER_REENROLL_AFTER=never", "MUSTER_FORGET_ENROLLMENT_KEY=perhaps",
		"MUSTER_TRANSIENT_MIN=1h", "MUSTER_MANAGER_URL=https://me:pw@manager.example.org", "HTTPS_PROXY=ftp://proxy",
	)
	src.Flags = map[string]string{"MUSTER_LOG_LEVEL": "loud"}
	expect(t, problems(t, src),
		"MUSTER_SITECODE (file|line 1|MUSTER_SITE_CODE", "MUSTER_LOG_FORMAT (file|line 2", "line 3|no \"=\"",
		"MUSTER_SERVER_URL (environment)|ftp", "MUSTER_ENROLLMENT_KEY_FILE (environment)|given too", "MUSTER_TRUST_CA_FILE (environment)|does not exist",
		"MUSTER_REENROLL_AFTER (environment)|duration", "MUSTER_FORGET_ENROLLMENT_KEY (environment)|true nor false",
		"MUSTER_TRANSIENT_MIN (environment)|above", "MUSTER_MANAGER_URL (environment)|user name", "HTTPS_PROXY (environment)|scheme",
		"MUSTER_LOG_LEVEL (flag)|none of", "site enrollment|MUSTER_SITE_CODE missing",
	)
}

// leaked is a part of 8 characters of a secret that text holds, or "".
func leaked(text, secret string) string {
	for i := 0; i+8 <= len(secret); i++ {
		if part := secret[i : i+8]; strings.Contains(text, part) {
			return part
		}
	}
	return ""
}

// Every kind of secret, in its own variable and pasted into every other, is in
// no problem, warning or value.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	keys := []string{enrollKey, "cak_Hn3Jb5Vc7Xz9Qw1Er3Ty", "CEK_Uu8Ii7Oo6Pp5Aa4Ss3Dd2"}
	check := func(what string, src Source, secret string) {
		t.Helper()
		c, err := Load(src)
		var shown []string
		if err != nil {
			shown = append(shown, err.Error())
		} else {
			shown = append(shown, c.Warnings...)
			for _, v := range c.Values() {
				shown = append(shown, v.Value, v.From)
			}
		}
		if part := leaked(strings.Join(shown, "\n"), secret); part != "" {
			t.Errorf("%s: %q of a secret is in:\n%s", what, part, strings.Join(shown, "\n"))
		}
	}
	empty := write(t, "empty.env", "")
	file := write(t, "agent.env", "") // one for the thousands of rows
	source := func(t *testing.T, content string, environ ...string) Source {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return Source{Environ: environ, File: file}
	}
	rows := variableRows(t)
	for _, name := range variableNames() {
		for _, key := range keys {
			for _, text := range []string{
				key, " " + key, "'" + key, "x" + key, "/etc/" + key, "https://h/" + key, "https://" + key, "https://" + key + "@h", "https://me:" + key + "@h?" + key, "ftp://h/" + key,
				key + "://h", "5s " + key, "a," + key, key + "\n", "/etc/x\n" + key,
			} {
				check(name+" in the environment", source(t, "", name+"="+text), key)
				check(name+" in the file", source(t, name+"=\""+text+"\"\n"), key)
				check(name+" as a flag", Source{File: empty, Flags: map[string]string{name: text}}, key)
			}
		}
		// An old shared key has any form: known to be one in its own variable
		// only, and elsewhere where a value is refused or must not be one.
		const shared, password = "Tr0ub4dor-and-3-more", "pa55word-Qx8"
		if strings.HasPrefix(name, "MUSTER_LABEL") || rows[name].of == nil && !strings.Contains(name, "KEY") {
			continue
		}
		switch name {
		case "MUSTER_SITE_CODE", "MUSTER_REPORT_INTERFACE", "NO_PROXY", "MUSTER_CA_CERT", "MUSTER_SERVER_CERT", "MUSTER_SERVER_KEY", "MUSTER_CRL", "MUSTER_STATE_DIR", "HTTP_PROXY", "HTTPS_PROXY":
		default:
			check(name+" with a shared key", source(t, name+"="+shared), shared)
			src := source(t, "", "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", name+"="+shared)
			src.CredentialStored = func(string) bool { return true }
			check(name+" with a shared key and a credential", src, shared)
		}
		check(name+" with a password", source(t, "", name+"=https://me:"+password+"@host.example.org"), password)
		check(name+" with a password and a bad port", source(t, "", name+"=https://me:"+password+"@host.example.org:x"), password)
	}
	for _, key := range keys {
		check("a line that is none", source(t, key+"\n"+key+"=x\nexport "+key+"=x\n="+key+"\nMUSTER_"+key+"="+key+"\nMUSTER_LOG_LEVEL='"+key), key)
		check("a name", source(t, "", "MUSTER_"+key+"="+key, "MUSTER_X_"+strings.ToLower(key)+"=x"), key)
		check("the file's name", Source{File: key}, key)
		check("a bad key's file", source(t, "", "MUSTER_ENROLLMENT_KEY_FILE="+write(t, "k", "x"+key+" y")), key)
		check("a credential", source(t, "", "CREDENTIALS_DIRECTORY="+filepath.Dir(write(t, "enrollment_key", "x"+key+" y"))), key)
	}
	c := load(t, source(t, "", "HTTPS_PROXY=me:secretpw@proxy:3128"))
	if got := value(t, c, "HTTPS_PROXY").Value; got != "http://[redacted]@proxy:3128" {
		t.Errorf("the proxy is shown as %q", got)
	}
}

func TestSettingsOfASite(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	environ := map[string]string{"MUSTER_SERVER_URL": "https://enroll.example.org/prefix/", "MUSTER_SITE_CODE": "ACME-HQ", "MUSTER_ENROLLMENT_KEY": enrollKey}
	var file strings.Builder
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		file.WriteString(name + "=" + environ[name] + "\n")
	}
	s := load(t, source(t, file.String())).Settings()
	is.True(s.SiteConfigured())
	is.Equal(s.ServerURL.String(), "https://enroll.example.org/prefix/") // as configured
	is.Equal(s.SiteCode, "ACME-HQ")
}

func TestAMisspeltNameIsNamedBesideWhatItCaused(t *testing.T) {
	t.Parallel()
	src := source(t, "", "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_KODE=A", "MUSTER_ENROLLMENT_KEY="+enrollKey)
	_, err := Load(src)
	if err == nil || !strings.Contains(err.Error(), "MUSTER_SITE_CODE") || !strings.Contains(err.Error(), "MUSTER_SITE_KODE") {
		t.Errorf("got %v; want both names", err)
	}
}
