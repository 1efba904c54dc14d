package managerapi

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/httpanswer/servertest"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/fakeserver"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.CertificateIssuer(t, func(t *testing.T, script contracttest.IssuerScript) contracttest.ScriptedIssuer {
		if !manages(script) {
			return contracttest.ScriptedIssuer{}
		}
		var requests servertest.Seen[contracttest.IssuerRequest]
		over := make(chan struct{})
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			request := decodeRequest(t, r)
			requests.Add(request)
			if script.Hang {
				<-over
				return
			}
			follow(w, request.Kind, script)
		})
		t.Cleanup(func() { close(over) }) // before the server's own, which waits for its handlers
		return contracttest.ScriptedIssuer{Issuer: client, Revocations: client, Requests: requests.All}
	})
}

// manages reports whether a manager has the answers of a script. Its operator
// decides later, what they decide is in a received answer, and its CA comes
// with each certificate.
func manages(script contracttest.IssuerScript) bool {
	switch script.CA.Outcome.(type) {
	case ports.CACertificates, ports.Unavailable:
		return false
	}
	switch script.Submit.Outcome.(type) {
	case ports.IssueDenied, ports.IssueNeedsCredentials:
		return false
	case ports.IssuePending:
		return !script.Resumed
	case ports.IssueReceived:
		return script.Resumed
	}
	return true
}

// The life is lived at the fake server, which is stricter than real ones.
func TestLife(t *testing.T) {
	t.Parallel()
	contracttest.IssuerLife(t, func(t *testing.T, kind contracttest.IssuerKind) contracttest.LiveIssuer {
		is := is.New(t)
		fake := &fakeserver.Server{Approval: fakeserver.Approval{Manual: true}, IgnoreCSR: kind.IgnoreCSR, NoRenew: kind.NoRenew}
		is.NoErr(fake.Start(t.Context(), "127.0.0.1:0"))
		t.Cleanup(fake.Close)
		roots := x509.NewCertPool()
		is.True(roots.AppendCertsFromPEM(fake.CACertPEM()))
		var present atomic.Pointer[tls.Certificate]
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		// Each renewal has a connection of its own, as it would days apart.
		mtls := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			RootCAs: roots,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if c := present.Load(); c != nil {
					return c, nil
				}
				return new(tls.Certificate), nil
			},
		}}
		t.Cleanup(transport.CloseIdleConnections)
		base, err := url.Parse(fake.URL() + "/")
		is.NoErr(err)
		operator := func(deed func(id string) error) func(string) error {
			return func(machineID string) error {
				id := ""
				for _, e := range fake.State().Enrollments {
					if e.MachineID == machineID {
						id = e.ID
					}
				}
				return deed(id)
			}
		}
		client := New(base, transport, mtls, "muster/1.2.3 (linux; amd64)", error.Error)
		return contracttest.LiveIssuer{
			Issuer: client, Revocations: client,
			Present: func(c *tls.Certificate) { present.Store(c) },
			Approve: operator(fake.Approve), Deny: operator(fake.Deny), Remove: operator(fake.Remove), Revoke: operator(fake.RevokeCertificates),
		}
	})
}

// serve runs a server over TLS and returns a client of it.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	return clientOf(t, servertest.Serve(t, handler))
}

func clientOf(t *testing.T, server *httptest.Server) *Client {
	t.Helper()
	base, err := url.Parse(server.URL)
	is.New(t).NoErr(err)
	transport := server.Client().Transport
	// A description that hides nothing: the client may not rely on a better one.
	return New(base, transport, renewals{transport}, "muster/1.2.3 (linux; amd64)", error.Error)
}

// over is a client that has a transport and no network.
func over(transport http.RoundTripper) *Client {
	return New(&url.URL{Scheme: "https", Host: "host"}, transport, transport, "", error.Error)
}

// renewals marks what the mTLS transport carries.
type renewals struct{ http.RoundTripper }

func (r renewals) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header.Set("Carried-By", "mtls")
	return r.RoundTripper.RoundTrip(req)
}

// decodeRequest accepts what docs/PROTOCOLS.md prescribes and nothing else.
func decodeRequest(t *testing.T, r *http.Request) contracttest.IssuerRequest {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	want := map[string]string{"Accept": "application/json", "User-Agent": "muster/1.2.3 (linux; amd64)"}
	var request contracttest.IssuerRequest
	token, polls := strings.CutPrefix(r.URL.EscapedPath(), "/api/v1/enroll/status/")
	switch path := r.URL.RequestURI(); {
	case r.Method == http.MethodPost && path == "/api/v1/enroll":
		request.Kind = "submit"
		request.Submit = decodeRegister(t, body)
		request.Submit.IdempotencyKey = r.Header.Get("Idempotency-Key")
	case r.Method == http.MethodPost && path == "/api/v1/enroll/renew":
		request.Kind = "renew"
		servertest.HasMembers(t, body, "csr_pem")
		var fields map[string]string
		servertest.Decode(t, body, &fields)
		request.CSR = []byte(fields["csr_pem"])
		want["Carried-By"] = "mtls"
	case r.Method == http.MethodGet && polls && !strings.Contains(token, "/") && r.URL.RawQuery == "":
		request.Kind = "resume"
		text, err := url.PathUnescape(token)
		if err != nil {
			t.Error(err)
		}
		request.Submit.Resume = ports.NewSecret(text)
	case r.Method == http.MethodGet && path == "/api/v1/pki/crl.pem":
		request.Kind = "crl"
	default:
		t.Errorf("%s %s", r.Method, r.URL)
	}
	if r.Method == http.MethodPost {
		want["Content-Type"] = "application/json"
	} else if len(body) > 0 {
		t.Errorf("a GET with the body %q", body)
	}
	if request.Kind != "submit" {
		want["Idempotency-Key"] = ""
	}
	for _, name := range []string{"Accept", "User-Agent", "Content-Type", "Carried-By"} {
		if got := r.Header.Get(name); got != want[name] {
			t.Errorf("%s %s: %s: %q, want %q", r.Method, r.URL, name, got, want[name])
		}
	}
	return request
}

func decodeRegister(t *testing.T, body []byte) ports.IssueRequest {
	var request struct {
		MachineID string          `json:"machine_id"`
		FQDN      string          `json:"fqdn"`
		IPAddress string          `json:"ip_address"`
		OS        json.RawMessage `json:"os_details"`
		Hostname  string          `json:"hostname"`
		CSR       *string         `json:"csr_pem"`
	}
	servertest.Decode(t, body, &request)
	names := []string{"fqdn", "hostname", "ip_address", "machine_id", "os_details"}
	if request.CSR != nil {
		names = append([]string{"csr_pem"}, names...)
	}
	servertest.HasMembers(t, body, names...)
	servertest.HasMembers(t, request.OS, "codename", "distro", "id_like", "kernel", "name", "version")
	var os map[string]string
	servertest.Decode(t, request.OS, &os)
	r := ports.IssueRequest{MachineID: request.MachineID, Host: ports.HostFacts{
		FQDN: request.FQDN, IPAddress: request.IPAddress, Hostname: request.Hostname,
		OS: ports.OSDetails{
			Distro: os["distro"], Name: os["name"], Version: os["version"], Codename: os["codename"], IDLike: os["id_like"], Kernel: os["kernel"],
		},
	}}
	if request.CSR != nil {
		r.CSR = []byte(*request.CSR)
	}
	return r
}

// follow sends what the client is to understand as the script's answer to a
// kind of request.
func follow(w http.ResponseWriter, kind string, script contracttest.IssuerScript) {
	var outcome any
	var date time.Time
	var retryAfter string
	switch kind {
	case "submit", "resume":
		outcome, date, retryAfter = script.Submit.Outcome, script.Submit.ServerTime, script.Submit.RetryAfter
	case "renew":
		outcome, date, retryAfter = script.Renew.Outcome, script.Renew.ServerTime, script.Renew.RetryAfter
	case "crl":
		outcome, date, retryAfter = script.Revocations.Outcome, script.Revocations.ServerTime, script.Revocations.RetryAfter
	}
	status, body := http.StatusInternalServerError, ""
	if retryAfter != "" {
		status = http.StatusServiceUnavailable
	}
	fields := map[string]any{"unknown": []int{1}}
	switch o := outcome.(type) {
	case ports.IssuePending:
		status, fields["polling_token"] = http.StatusAccepted, o.Resume.Reveal()
	case ports.IssueKnown:
		status, fields["error"] = http.StatusConflict, o.Detail
	case ports.IssueUnknown:
		status = http.StatusNotFound
	case ports.IssueBusy:
		status = http.StatusTooManyRequests
	case ports.IssueUnexpected:
		status, fields["detail"] = o.Status, o.Detail
	case ports.RenewNotOffered:
		status = o.Status
	case ports.RevocationList:
		status, body = http.StatusOK, string(o.PEM)
	case ports.IssueReceived:
		status = http.StatusOK
		if _, unreadable := script.Decision.(ports.IssueUnreadable); unreadable {
			body = "nonsense"
		}
		decide(fields, script.Decision, kind == "renew")
	}
	if !date.IsZero() {
		w.Header().Set("Date", date.Format(http.TimeFormat))
	}
	switch {
	case retryAfter != "":
		w.Header().Set("Retry-After", retryAfter)
	case status != http.StatusAccepted && status != http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "99") // it means nothing there
	}
	w.WriteHeader(status)
	if body == "" {
		text, err := json.Marshal(fields)
		if err != nil {
			panic(fmt.Sprintf("the script does not encode: %v", err))
		}
		body = string(text)
	}
	_, _ = io.WriteString(w, body) // a client that is told to stop has gone
}

// decide puts a decision into the answer that holds it. One to a renewal has no
// status.
func decide(fields map[string]any, d ports.IssueDecision, renewal bool) {
	status := ""
	switch d := d.(type) {
	case ports.IssuePending:
		status = "pending"
	case ports.IssueDenied:
		status = "denied"
	case ports.IssueUnknown:
		status = "notfound"
	case ports.Issued:
		status = "approved"
		fields["ca_crt"], fields["server_crt"] = string(d.Bundle.CA), string(d.Bundle.Cert)
		if d.Bundle.Chain != nil {
			fields["ca_chain"], fields["crl_pem"] = string(d.Bundle.Chain), string(d.Bundle.CRL)
		}
		if !d.Bundle.Key.Empty() {
			fields["server_key"] = d.Bundle.Key.Reveal()
		}
	}
	if !renewal {
		fields["status"] = status
	}
}
