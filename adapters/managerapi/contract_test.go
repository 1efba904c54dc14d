package managerapi

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/fakeserver"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.ManagerEnroller(t, func(t *testing.T, script contracttest.ManagerScript) contracttest.ScriptedManager {
		var mu sync.Mutex
		var requests []contracttest.ManagerRequest
		over := make(chan struct{})
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			request := decodeRequest(t, r)
			mu.Lock()
			requests = append(requests, request)
			mu.Unlock()
			if script.Hang {
				<-over
				return
			}
			answer(w, request.Kind, script)
		})
		t.Cleanup(func() { close(over) }) // before the server's own, which waits for its handlers
		return contracttest.ScriptedManager{Enroller: client, Requests: func() []contracttest.ManagerRequest {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(requests)
		}}
	})
}

// The life is lived at the fake server, which is stricter than real ones.
func TestLife(t *testing.T) {
	t.Parallel()
	contracttest.ManagerLife(t, func(t *testing.T, kind contracttest.ManagerKind) contracttest.LiveManager {
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
		return contracttest.LiveManager{
			Enroller: New(base, transport, mtls, "muster/1.2.3 (linux; amd64)", error.Error),
			Present:  func(c *tls.Certificate) { present.Store(c) },
			Approve:  operator(fake.Approve), Deny: operator(fake.Deny), Remove: operator(fake.Remove), Revoke: operator(fake.RevokeCertificates),
		}
	})
}

// serve runs a server over TLS and returns a client of it.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return clientOf(t, server)
}

func clientOf(t *testing.T, server *httptest.Server) *Client {
	t.Helper()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Client().Transport
	// A description that hides nothing: the client may not rely on a better one.
	return New(base, transport, renewals{transport}, "muster/1.2.3 (linux; amd64)", error.Error)
}

// renewals marks what the mTLS transport carries.
type renewals struct{ http.RoundTripper }

func (r renewals) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header.Set("Carried-By", "mtls")
	return r.RoundTripper.RoundTrip(req)
}

// decodeRequest accepts what docs/PROTOCOLS.md prescribes and nothing else.
func decodeRequest(t *testing.T, r *http.Request) contracttest.ManagerRequest {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	want := map[string]string{"Accept": "application/json", "User-Agent": "muster/1.2.3 (linux; amd64)"}
	var request contracttest.ManagerRequest
	token, polls := strings.CutPrefix(r.URL.EscapedPath(), "/api/v1/enroll/status/")
	switch path := r.URL.RequestURI(); {
	case r.Method == http.MethodPost && path == "/api/v1/enroll":
		request.Kind = "register"
		request.Register = decodeRegister(t, body)
		request.Register.IdempotencyKey = r.Header.Get("Idempotency-Key")
	case r.Method == http.MethodPost && path == "/api/v1/enroll/renew":
		request.Kind = "renew"
		exactly(t, body, "csr_pem")
		var fields map[string]string
		decodeInto(t, body, &fields)
		request.CSR = []byte(fields["csr_pem"])
		want["Carried-By"] = "mtls"
	case r.Method == http.MethodGet && polls && !strings.Contains(token, "/") && r.URL.RawQuery == "":
		request.Kind = "poll"
		text, err := url.PathUnescape(token)
		if err != nil {
			t.Error(err)
		}
		request.Token = ports.NewSecret(text)
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
	if request.Kind != "register" {
		want["Idempotency-Key"] = ""
	}
	for _, name := range []string{"Accept", "User-Agent", "Content-Type", "Carried-By"} {
		if got := r.Header.Get(name); got != want[name] {
			t.Errorf("%s %s: %s: %q, want %q", r.Method, r.URL, name, got, want[name])
		}
	}
	return request
}

func decodeRegister(t *testing.T, body []byte) ports.RegisterRequest {
	var request struct {
		MachineID string          `json:"machine_id"`
		FQDN      string          `json:"fqdn"`
		IPAddress string          `json:"ip_address"`
		OS        json.RawMessage `json:"os_details"`
		Hostname  string          `json:"hostname"`
		CSR       *string         `json:"csr_pem"`
	}
	decodeInto(t, body, &request)
	names := []string{"fqdn", "hostname", "ip_address", "machine_id", "os_details"}
	if request.CSR != nil {
		names = append([]string{"csr_pem"}, names...)
	}
	exactly(t, body, names...)
	exactly(t, request.OS, "codename", "distro", "id_like", "kernel", "name", "version")
	var os map[string]string
	decodeInto(t, request.OS, &os)
	r := ports.RegisterRequest{
		MachineID: request.MachineID, FQDN: request.FQDN, IPAddress: request.IPAddress, Hostname: request.Hostname,
		OS: ports.OSDetails{
			Distro: os["distro"], Name: os["name"], Version: os["version"], Codename: os["codename"], IDLike: os["id_like"], Kernel: os["kernel"],
		},
	}
	if request.CSR != nil {
		r.CSR = []byte(*request.CSR)
	}
	return r
}

func exactly(t *testing.T, object []byte, names ...string) {
	var fields map[string]json.RawMessage
	decodeInto(t, object, &fields)
	if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, names) {
		t.Errorf("keys %q, want %q", got, names)
	}
}

func decodeInto(t *testing.T, data []byte, into any) {
	if err := json.Unmarshal(data, into); err != nil {
		t.Errorf("%s: %v", data, err)
	}
}

// answer sends what the client is to understand as the script's.
func answer(w http.ResponseWriter, kind string, script contracttest.ManagerScript) {
	// What a transient outcome is made of: with a Retry-After, of a 503.
	transient := func(retryAfter string) int {
		if retryAfter == "" {
			return http.StatusInternalServerError
		}
		return http.StatusServiceUnavailable
	}
	head := ports.CRLAnswer{ServerTime: script.CRL.ServerTime, RetryAfter: script.CRL.RetryAfter}
	status, body, fields := 0, "", map[string]any{"unknown": []int{1}}
	switch kind {
	case "register":
		head.ServerTime, head.RetryAfter = script.Register.ServerTime, script.Register.RetryAfter
		switch o := script.Register.Outcome.(type) {
		case ports.Registered:
			status, fields["polling_token"] = http.StatusAccepted, o.Token.Reveal()
		case ports.HostExists:
			status, fields["error"] = http.StatusConflict, o.Detail
		case ports.RegisterRateLimited:
			status = http.StatusTooManyRequests
		case ports.RegisterUnexpected:
			status, fields["detail"] = o.Status, o.Detail
		default:
			status = transient(head.RetryAfter)
		}
	case "poll":
		head.ServerTime, head.RetryAfter = script.Poll.ServerTime, script.Poll.RetryAfter
		switch o := script.Poll.Outcome.(type) {
		case ports.PollAnswered:
			status, body = http.StatusOK, o.Body.Reveal()
		case ports.PollGone:
			status = http.StatusNotFound
		case ports.PollUnexpected:
			status, fields["message"] = o.Status, o.Detail
		default:
			status = transient(head.RetryAfter)
		}
	case "renew":
		head.ServerTime, head.RetryAfter = script.Renew.ServerTime, script.Renew.RetryAfter
		switch o := script.Renew.Outcome.(type) {
		case ports.Renewed:
			status = http.StatusOK
			fields["ca_crt"], fields["server_crt"] = string(o.Bundle.CA), string(o.Bundle.Cert)
			if o.Bundle.Chain != nil {
				fields["ca_chain"], fields["crl_pem"] = string(o.Bundle.Chain), string(o.Bundle.CRL)
			}
		case ports.RenewNotOffered:
			status = o.Status
		default:
			status = transient(head.RetryAfter)
		}
	case "crl":
		if status = http.StatusOK; script.CRL.Reason != "" {
			status = transient(head.RetryAfter)
		}
		body = string(script.CRL.PEM)
	}
	if !head.ServerTime.IsZero() {
		w.Header().Set("Date", head.ServerTime.Format(http.TimeFormat))
	}
	// An ignored header wherever it means nothing.
	w.Header().Set("Retry-After", "99")
	if head.RetryAfter != "" {
		w.Header().Set("Retry-After", head.RetryAfter)
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
