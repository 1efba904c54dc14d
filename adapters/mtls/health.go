package mtls

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/muster-agent/muster/ports"
)

// healthJSON is the answer of GET /health. Unknown values are null, as in
// `muster status --json` (docs/SPEC.md, "Status").
type healthJSON struct {
	Status      ports.OverallState `json:"status"`
	Version     string             `json:"version"`
	Uptime      int64              `json:"uptime_seconds"`
	Certificate certificateJSON    `json:"certificate"`
}

type certificateJSON struct {
	Status    ports.CertificateStatus `json:"status"`
	NotBefore *time.Time              `json:"not_before"`
	NotAfter  *time.Time              `json:"not_after"`
	RenewAt   *time.Time              `json:"renew_at"`
	Subject   *string                 `json:"subject"`
}

func encode(h ports.Health) ([]byte, error) {
	body, err := json.Marshal(healthJSON{
		Status:  h.Status,
		Version: h.Version,
		Uptime:  int64(h.Uptime / time.Second),
		Certificate: certificateJSON{
			Status:    h.Certificate.Status,
			NotBefore: known(h.Certificate.NotBefore.UTC()),
			NotAfter:  known(h.Certificate.NotAfter.UTC()),
			RenewAt:   known(h.Certificate.RenewAt.UTC()),
			Subject:   known(h.Certificate.Subject),
		},
	})
	return append(body, '\n'), err
}

// known returns nil for a zero value, which stands for an unknown one.
func known[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func handler(health func() ports.Health) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/health":
			http.Error(w, "there is only /health", http.StatusNotFound)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET is allowed", http.StatusMethodNotAllowed)
			return
		}
		body, err := encode(health())
		if err != nil { // a time of the year 10000
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(body) // a client that has gone needs no answer
	}
}
