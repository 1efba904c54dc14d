package envconfig

import (
	"encoding"
	"net/url"
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

// rowOf is one variable of the table test: the field of the settings, good texts
// with the value that it then has, and bad ones with a word of the problem.
type rowOf struct {
	field string // "Labels.Company"
	good  good
	bad   bad
}

type (
	good = map[string]any
	bad  = map[string]string
)

func row(field string, good good, bad bad) rowOf { return rowOf{field, good, bad} }

// in returns a field of the settings; of a URL its text, of a secret its value.
func (r rowOf) in(s ports.Settings) any {
	v := reflect.ValueOf(s)
	for name := range strings.SplitSeq(r.field, ".") {
		v = v.FieldByName(name)
	}
	switch v := v.Interface().(type) {
	case *url.URL:
		return v.String()
	case ports.Secret:
		return v.Reveal()
	default:
		return v
	}
}

func variableRows(t *testing.T) map[string]rowOf {
	ca, empty, dir := caFile(t), write(t, "empty.pem", ""), t.TempDir()
	nowhere := filepath.Join(dir, "nowhere.pem")
	hexPin, base64Pin := strings.Repeat("ab", 32), "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="
	pin := [32]byte(slices.Repeat([]byte{0xab}, 32))
	boolean := func(field string) rowOf {
		return rowOf{field, good{"true": true, "1": true, "false": false}, bad{"maybe": "true nor false", "2": "true nor false"}}
	}
	line := func(field string) rowOf {
		return rowOf{field, good{"Zürich HQ": "Zürich HQ"}, bad{"a\x07b": "control", "\xff": "UTF-8", enrollKey: "is a key"}}
	}
	file := func(field string) rowOf {
		return rowOf{field, good{"/x/y.pem": "/x/y.pem", "y.pem": "y.pem"}, bad{"/x\n/y": "control", "https://h/ca.pem": "is a URL", "cak_" + enrollKey: "is a key"}}
	}
	trust := func(field string) rowOf {
		return rowOf{field, good{ca: ca}, bad{
			empty: "no certificate", dir: "regular file", nowhere: nowhere + " cannot be used: it does not exist", "nowhere.pem": "does not exist",
		}}
	}
	pins := func(field string) rowOf {
		return rowOf{field, good{hexPin: [][32]byte{pin}, strings.ToUpper(hexPin): [][32]byte{pin}, base64Pin + " , " + hexPin: [][32]byte{pin, pin}}, bad{
			hexPin + "0": "pin 1", hexPin[1:]: "pin 1", hexPin + ",x": "pin 2", hexPin + ",": "pin 2", ",": "pin 1",
			strings.Repeat("g", 64): "pin 1", strings.Repeat("?", 44): "pin 1", strings.Repeat("A", 44): "pin 1",
		}}
	}
	delay := func(field, text string, want time.Duration) rowOf {
		return rowOf{field, good{text: want}, bad{"5": "duration", "9ms": "at least 10ms", "-1s": "at least 10ms", "0": "at least 10ms", "soon": `"soon" is not a duration`}}
	}
	proxy := func(field string) rowOf {
		r := rowOf{field, good{}, bad{"ftp://proxy.example.org": "scheme", "http://proxy:99999": "port", "http://": "no host", "a b": "proxy's URL", enrollKey: "is a key"}}
		for _, text := range []string{"http://proxy.example.org:3128", "proxy.example.org:3128", "https://me:pw@proxy.example.org", "socks5://10.0.0.1", "10.0.0.1"} {
			r.good[text] = text
		}
		return r
	}
	server := func(field string) rowOf {
		r := rowOf{field, good{"HTTPS://enroll.example.org:8443/prefix/": "https://enroll.example.org:8443/prefix/"}, bad{
			"ftp://enroll.example.org": `"ftp"`, "wss://enroll.example.org": `"wss"`, "enroll.example.org": "https://", "https://": "no host", "https:///x": "no host",
			"https:enroll.example.org": "no host", "https://me@enroll.example.org": "user name", "https://:pw@enroll.example.org": "user name", "https://h?a=b": "query", "https://h?": "query",
			"https://h#f": "fragment", "https://h:99999": "port", "https://h:0": "port", "https://h:x": "not a URL", "https://h\x7f": "not a URL",
		}}
		for _, text := range []string{"https://enroll.example.org", "http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:80/x", "http://LocalHost"} {
			r.good[text] = text
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

	rows := map[string]rowOf{
		"MUSTER_SERVER_URL": server("ServerURL"),
		"MUSTER_SITE_CODE":  line("SiteCode"),
		"MUSTER_ENROLLMENT_KEY": row("EnrollmentKey", good{enrollKey: enrollKey}, bad{
			"cek_": "begin with cek_", "key": "begin with cek_", "cak_" + enrollKey: "begin with cek_", enrollKey + "\r": "control", "cek_a b": "spaces", "cek_a\u00a0b": "spaces", "cek_\xff": "control",
		}),
		"MUSTER_FORGET_ENROLLMENT_KEY": boolean("ForgetEnrollmentKey"),
		"MUSTER_REENROLL_AFTER": row("ReenrollAfter", good{"0": time.Duration(0), "90m": 90 * time.Minute},
			bad{"-1h": "0 (never) or more", "24": "duration", "never": "duration"}),
		"MUSTER_MACHINE_UID": row("MachineUID", good{uid: uid},
			bad{uid[:68]: "64", uid + "0": "64", strings.ToUpper(uid): "64", uid[5:]: "64", "muid_" + strings.Repeat("A", 64): "64"}),
		"MUSTER_API_KEY": row("APIKey", good{"old-shared-key": "old-shared-key", "cak_0123456789abcdefghij": "cak_0123456789abcdefghij"},
			bad{"a b": "spaces", "a\tb": "spaces", "a\x00": "control", enrollKey: "move it to MUSTER_ENROLLMENT_KEY"}),
		"MUSTER_LABEL_COMPANY":     line("Labels.Company"),
		"MUSTER_LABEL_SITE":        line("Labels.Site"),
		"MUSTER_LABEL_DEPARTMENT":  line("Labels.Department"),
		"MUSTER_LABEL_DEVICE_TYPE": line("Labels.DeviceType"),
		"MUSTER_LABEL_TAGS": row("Labels.Tags", good{" laptop, finance,,two words ,": []string{"laptop", "finance", "two words"}, " ,": []string(nil)},
			bad{"a\x01,b": "control"}),
		"MUSTER_AGENT_ID": row("AgentID", good{"123E4567-e89b-12d3-a456-426614174000": "123e4567-e89b-12d3-a456-426614174000"},
			bad{"123e4567e89b12d3a456426614174000": "UUID", "123e4567-e89b-12d3-a456-42661417400g": "UUID", "{123e4567-e89b-12d3-a456-426614174000}": "UUID"}),
		"MUSTER_RELAY_URL": row("RelayURL", good{
			"wss://relay.example.org": "wss://relay.example.org/ws/agent", "https://relay.example.org/": "https://relay.example.org/ws/agent", "wss://relay.example.org/own/end": "wss://relay.example.org/own/end",
			"ws://127.0.0.1:80": "ws://127.0.0.1:80/ws/agent", "http://localhost/x": "http://localhost/x",
		}, bad{"ftp://relay": `"ftp"`, "wss://me:pw@relay": "user name", "wss://relay?api_key=x": "query", "wss://": "no host"}),
		"MUSTER_RELAY_AUTH": row("RelayAuthHeader", good{"query": false, "header": true},
			bad{"Header": "query, header", "cookie-jar": "the value is none of query, header"}),
		"MUSTER_MANAGER_URL": server("ManagerURL"),
		"MUSTER_POLLING_INTERVAL": row("PollingInterval", good{"1s": time.Second, "1h": time.Hour},
			bad{"999ms": "from 1s to 1h", "61m": "at most 1h", "0": "more than 0", "-1s": "more than 0", "60": "duration"}),
		"MUSTER_MAX_POLL_ATTEMPTS": row("MaxPollAttempts", good{"1": 1, "1440": 1440},
			bad{"0": "1 to 1440", "1441": "1 to 1440", "-1": "1 to 1440", "1.5": "1 to 1440", "99999999999999999999": "1 to 1440"}),
		"MUSTER_CERT_RENEWAL_THRESHOLD_DAYS": row("RenewalThreshold", good{"0": time.Duration(0), "30": 720 * time.Hour, "36500": 36500 * 24 * time.Hour},
			bad{"-1": "0 to 36500", "7d": "0 to 36500", "36501": "0 to 36500"}),
		"MUSTER_CA_CERT":     file("CACertFile"),
		"MUSTER_SERVER_CERT": file("ServerCertFile"),
		"MUSTER_SERVER_KEY":  file("ServerKeyFile"),
		"MUSTER_CRL":         file("CRLFile"),
		"MUSTER_REPORT_IP": row("ReportIP", good{"10.20.0.7": "10.20.0.7", "2001:DB8::7": "2001:db8::7"},
			bad{"web-3": `"web-3"`, "10.20.0.7/8": "IP address", "fe80::1%eth0": "IP address", "0.0.0.0": "IP address", "10.1": "IP address"}),
		"MUSTER_REPORT_INTERFACE": line("ReportInterface"),
		"MUSTER_LISTEN_ADDR": row("ListenAddr", good{"off": "off", ":0": ":0", "10.0.0.1:12443": "10.0.0.1:12443", "[::1]:443": "[::1]:443"},
			bad{"12443": "port", "::1:443": "port", ":65536": "port", ":https": "port", "OFF": "port"}),
		"MUSTER_METRICS_ADDR":              row("MetricsAddr", good{"127.0.0.1:9100": "127.0.0.1:9100"}, bad{"off": "port", "9100": "port"}),
		"MUSTER_TRUST_CA_FILE":             trust("TrustCAFile"),
		"MUSTER_MANAGER_TRUST_CA_FILE":     trust("ManagerTrustCAFile"),
		"MUSTER_TRUST_SPKI_SHA256":         pins("TrustSPKISHA256"),
		"MUSTER_MANAGER_TRUST_SPKI_SHA256": pins("ManagerTrustSPKISHA256"),
		"HTTPS_PROXY":                      proxy("Proxy.HTTPS"),
		"HTTP_PROXY":                       proxy("Proxy.HTTP"),
		"NO_PROXY":                         line("Proxy.No"),
		"MUSTER_STATE_DIR": row("StateDir", good{dir: dir, dir + "/a/../b/": filepath.Join(dir, "b")},
			bad{"/a\nb": "control", "file:///a": "is a URL"}),
		"MUSTER_LOG_LEVEL": row("LogLevel", good{"debug": "debug", "info": "info", "warn": "warn", "error": "error"},
			bad{"INFO": `"INFO" is none of debug, info, warn, error`, "trace": "none of"}),
		"MUSTER_LOG_FORMAT":    row("LogFormat", good{"text": "text", "json": "json"}, bad{"xml": "text, json"}),
		"MUSTER_TRANSIENT_MIN": delay("Delays.Transient.Min", "10ms", 10*time.Millisecond),
		"MUSTER_TRANSIENT_MAX": delay("Delays.Transient.Max", "5s", 5*time.Second),
		"MUSTER_PENDING_MIN":   delay("Delays.Pending.Min", "10m", 10*time.Minute),
		"MUSTER_PENDING_MAX":   delay("Delays.Pending.Max", "1h", time.Hour),
		"MUSTER_OPERATOR_MIN":  delay("Delays.Operator.Min", "1s", time.Second),
		"MUSTER_OPERATOR_MAX":  delay("Delays.Operator.Max", "24h", 24*time.Hour),
	}
	if devBuild {
		rows["MUSTER_DEV_INSECURE_TLS"] = boolean("DevInsecureTLS")
		rows["MUSTER_DEV_INSECURE_HTTP"] = boolean("DevInsecureHTTP")
	}
	return rows
}

// beside is a whole site without one of its variables, so that none is half an
// enrollment by itself.
func beside(name string) []string {
	site := []string{"MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=ACME", "MUSTER_ENROLLMENT_KEY=" + enrollKey}
	return slices.DeleteFunc(site, func(e string) bool { return strings.HasPrefix(e, name+"=") })
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
			c := load(t, source(t, "", append(beside(name), name+"="+text)...))
			if got := row.in(c.Settings()); !reflect.DeepEqual(got, want) {
				t.Errorf("%s=%q gave %v, want %v", name, text, got, want)
			}
			if from := value(t, c, name).From; from != FromEnvironment {
				t.Errorf("%s=%q is said to be from %q", name, text, from)
			}
		}
		for text, word := range row.bad {
			got := problems(t, source(t, "", append(beside(name), name+"="+text)...))
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
		Delays:           delays(),
	})
	is.Equal(c.Warnings, nil)
	is.True(c.NothingConfigured())
	for _, v := range c.Values() {
		is.True(v.From == FromDefault && v.Value != "" || v.From == FromUnset && v.Value == "") // nothing was set
	}
	is.Equal(len(c.Values()), len(variableNames()))
	for name, want := range map[string]string{
		"MUSTER_TRANSIENT_MIN": "5s", "MUSTER_TRANSIENT_MAX": "5m", "MUSTER_PENDING_MIN": "60s",
		"MUSTER_PENDING_MAX": "90m", "MUSTER_OPERATOR_MIN": "60m", "MUSTER_OPERATOR_MAX": "6h",
	} {
		is.Equal(value(t, c, name).Value, want)
	}
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
		is.New(t).NoErr(os.WriteFile(file, []byte(content), 0o600))
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
		if strings.HasPrefix(name, "MUSTER_LABEL") || rows[name].field == "" && !strings.Contains(name, "KEY") {
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
