package siteapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/httpanswer/servertest"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.SiteEnroller(t, func(t *testing.T, script contracttest.SiteScript) contracttest.SiteServer {
		var requests servertest.Seen[ports.SiteRequest]
		over := make(chan struct{})
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(decodeRequest(t, r))
			if script.Hang {
				<-over
				return
			}
			answer(w, script.Answer)
		})
		t.Cleanup(func() { close(over) }) // before the server's own, which waits for its handlers
		return contracttest.SiteServer{Enroller: client, Requests: requests.All}
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
	// A description that hides nothing: the client may not rely on a better one.
	return New(base, server.Client().Transport, "muster/1.2.3 (linux; amd64)", error.Error)
}

// over is a client that has a transport and no network.
func over(transport http.RoundTripper) *Client {
	return New(&url.URL{Scheme: "https", Host: "host"}, transport, "", error.Error)
}

// decodeRequest accepts what docs/PROTOCOLS.md prescribes and nothing else.
func decodeRequest(t *testing.T, r *http.Request) ports.SiteRequest {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/api/enroll" {
		t.Errorf("%s %s", r.Method, r.URL)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "muster/1.2.3 (linux; amd64)",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	var request struct {
		SiteCode      string `json:"site_code"`
		EnrollmentKey string `json:"enrollment_key"`
		MachineUID    string `json:"machine_uid"`
		Hostname      string `json:"hostname"`
		Labels        json.RawMessage
	}
	servertest.HasMembers(t, body, "enrollment_key", "hostname", "labels", "machine_uid", "site_code")
	servertest.Decode(t, body, &request)
	var labels struct {
		Company, Site, Department string
		DeviceType                string `json:"device_type"`
		Tags                      json.RawMessage
	}
	servertest.HasMembers(t, request.Labels, "company", "department", "device_type", "site", "tags")
	servertest.Decode(t, request.Labels, &labels)
	var tags []string
	servertest.Decode(t, labels.Tags, &tags)
	if string(labels.Tags) == "null" {
		t.Error("tags: null")
	}
	return ports.SiteRequest{
		SiteCode: request.SiteCode, EnrollmentKey: ports.NewSecret(request.EnrollmentKey),
		MachineUID: request.MachineUID, Hostname: request.Hostname,
		Labels: ports.Labels{
			Company: labels.Company, Site: labels.Site, Department: labels.Department, DeviceType: labels.DeviceType, Tags: tags,
		},
	}
}

// answer sends what the client is to understand as a.
func answer(w http.ResponseWriter, a ports.Answer[ports.SiteOutcome]) {
	if !a.ServerTime.IsZero() {
		w.Header().Set("Date", a.ServerTime.Format(http.TimeFormat))
	}
	// An ignored header wherever it means nothing.
	w.Header().Set("Retry-After", "99")
	if a.RetryAfter != "" {
		w.Header().Set("Retry-After", a.RetryAfter)
	}
	status, body := http.StatusServiceUnavailable, map[string]any{"unknown": []int{1}}
	if a.RetryAfter == "" {
		status = http.StatusInternalServerError
	}
	switch o := a.Outcome.(type) {
	case ports.SiteEnrolledNew:
		status, body["key"] = http.StatusCreated, o.Key.Reveal()
	case ports.SiteEnrolledAgain:
		status, body["key"] = http.StatusOK, o.Key.Reveal()
	case ports.SiteCollisionPending:
		status, body["state"] = http.StatusAccepted, "collision_pending"
	case ports.SiteRejected:
		status, body["error"] = http.StatusUnauthorized, o.Detail
	case ports.SiteConflict:
		status, body["error"] = http.StatusConflict, o.Detail
	case ports.SiteRateLimited:
		status = http.StatusTooManyRequests
	case ports.SiteUnexpected:
		status, body["error"] = o.Status, o.Detail
	case ports.SiteTransient: // as it is
	}
	w.WriteHeader(status)
	text, _ := json.Marshal(body) // a map of strings and numbers
	_, _ = io.Copy(w, strings.NewReader(string(text)))
}
