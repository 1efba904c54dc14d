package envconfig

import (
	"crypto/x509"
	"net/url"
	"strings"
	"time"
)

// maxTrustFile bounds a file of CA certificates, in bytes. All public roots
// together take a quarter of a MiB.
const maxTrustFile = 16 << 20

// check checks what depends on more than one variable or on a file. A value that
// did not parse is zero and was reported.
func (l *loader) check(v variables) {
	insecure := devBuild && v.DevInsecureHTTP
	l.checkTransport("MUSTER_SERVER_URL", v.ServerURL.url, insecure)
	l.checkTransport("MUSTER_RELAY_URL", v.RelayURL.url, insecure)
	l.checkTransport("MUSTER_MANAGER_URL", v.ManagerURL.url, insecure)

	l.checkTrustFile("MUSTER_TRUST_CA_FILE", v.TrustCAFile)
	if v.ManagerCAFile != v.TrustCAFile {
		l.checkTrustFile("MUSTER_MANAGER_TRUST_CA_FILE", v.ManagerCAFile)
	}

	if d := time.Duration(v.PollingInterval); d > 0 && d < minInterval && (v.ManagerURL.url == nil || !isLoopback(v.ManagerURL.url)) {
		l.bad("MUSTER_POLLING_INTERVAL", "%v is out of range; it has to be from 1s to 1h (shorter only where MUSTER_MANAGER_URL is a loopback address)", d)
	}
	l.checkDelays("MUSTER_TRANSIENT", v.TransientMin, v.TransientMax)
	l.checkDelays("MUSTER_PENDING", v.PendingMin, v.PendingMax)
	l.checkDelays("MUSTER_OPERATOR", v.OperatorMin, v.OperatorMax)
}

// checkTransport refuses plain text to another machine.
func (l *loader) checkTransport(name string, u *url.URL, insecure bool) {
	if u != nil && isPlain(u) && !isLoopback(u) && !insecure {
		l.bad(name, "%s is only for this machine (localhost, 127.0.0.0/8, ::1), since it is not encrypted; use %ss", u.Scheme, u.Scheme)
	}
}

// checkTrustFile refuses a file without a certificate, which would trust
// nobody.
func (l *loader) checkTrustFile(name string, file filePath) {
	if file == "" {
		return
	}
	data, err := readRegular(string(file), maxTrustFile, nil)
	if err != nil {
		l.bad(name, "%s cannot be used: %s", quotePath(string(file)), reason(err))
		return
	}
	if !x509.NewCertPool().AppendCertsFromPEM(data) {
		l.bad(name, "%s holds no certificate; give a file of CA certificates in PEM", quotePath(string(file)))
	}
}

// checkDelays refuses a class whose first delay is above its ceiling.
func (l *loader) checkDelays(class string, least, most delay) {
	if least == 0 || most == 0 || least <= most {
		return
	}
	low, high := class+"_MIN", class+"_MAX"
	name := low
	if l.effective[low].from == FromDefault {
		name = high
	}
	l.bad(name, "%s is %v, above %s, which is %v; change one of the two", low, time.Duration(least), high, time.Duration(most))
}

// checkSite refuses a site enrollment that lacks a part. The key may be absent
// where a credential is stored.
func (l *loader) checkSite(stored func() bool) {
	const (
		server = "MUSTER_SERVER_URL"
		site   = "MUSTER_SITE_CODE"
		key    = enrollmentKeyVariable
	)
	var set, missing []string
	for _, name := range []string{server, site, key} {
		if l.given(name) || l.given(name+fileSuffix) {
			set = append(set, name)
		} else {
			missing = append(missing, name)
		}
	}
	shared := l.given(apiKeyVariable) || l.given(apiKeyVariable+fileSuffix)

	switch {
	case len(set) == 0:
		if shared && !l.given("MUSTER_RELAY_URL") && !stored() {
			l.problem(apiKeyVariable, "the key is given without a server to use it with; set %s", server)
		}
		return
	case len(missing) == 0,
		len(set) == 1 && set[0] == server && shared,
		len(missing) == 1 && missing[0] == key && stored():
		return
	}
	if missing[len(missing)-1] == key {
		if stored() {
			missing = missing[:len(missing)-1]
		} else {
			missing[len(missing)-1] = key + " (or " + key + fileSuffix + ")"
		}
	}
	l.problem("site enrollment", "it is half-configured: %s given, %s missing; set what is missing, or remove the rest",
		strings.Join(set, " and "), strings.Join(missing, " and "))
}
