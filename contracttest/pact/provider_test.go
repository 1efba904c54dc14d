//go:build pact

package pact_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/pact-foundation/pact-go/v2/models"
	"github.com/pact-foundation/pact-go/v2/provider"

	"github.com/muster-agent/muster/fakeserver"
)

// server is one whose answers are verified.
type server struct {
	url   string
	roots *x509.CertPool // nil: the system's
	// set makes a provider state; see docs/CONTRACT.md.
	set func(state string, params map[string]any) (values map[string]any, err error)
	// clear, unless nil, ends one.
	clear func() error
	// pacts names the pact files; nil for all.
	pacts []string
	// skip, unless nil, matches the names of interactions to leave out.
	skip *regexp.Regexp

	certificate atomic.Pointer[tls.Certificate] // that the agent has in this state; nil for none
}

// TestProvider verifies the server that MUSTER_CONTRACT_URL names, or else a
// fake server in this process.
func TestProvider(t *testing.T) {
	if os.Getenv("MUSTER_CONTRACT_URL") != "" {
		verifyEnvironment(t)
		return
	}
	fake := &fakeserver.Server{Approval: fakeserver.Approval{Manual: true}}
	for _, code := range []string{siteCode, otherSiteCode} {
		if _, err := fake.AddSite(code, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := fake.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(fake.CACertPEM())
	carrier := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer carrier.CloseIdleConnections()
	states := fakeStates{fake.URL(), &http.Client{Transport: carrier}}
	(&server{url: fake.URL(), roots: roots, set: states.set, clear: states.clear}).verify(t)
}

// verify has pact's verifier play the agent.
func (s *server) verify(t *testing.T) {
	t.Helper()
	files := pactFiles(t)
	for _, name := range s.pacts {
		if !slices.ContainsFunc(files, func(f pactFile) bool { return f.file == name }) {
			t.Errorf("there is no pact file %s in contracttest/pacts", name)
		}
	}
	verified, skipped := 0, 0
	for _, pact := range files {
		if !s.wants(pact.file) {
			continue
		}
		t.Run(pact.file, func(t *testing.T) {
			var names []string
			for _, i := range pact.Interactions {
				if s.skip != nil && s.skip.MatchString(i.Description) {
					skipped++
					continue
				}
				names = append(names, i.Description)
			}
			if len(names) == 0 {
				return
			}
			if err := s.verifyOnly(t, pact, names); err == nil {
				verified += len(names)
				for _, name := range names {
					t.Attr("pact-interaction-verified", name)
				}
				return
			}
			// Once more, one by one, so that each failure has its name.
			for _, name := range names {
				t.Run(name, func(t *testing.T) {
					if err := s.verifyOnly(t, pact, []string{name}); err != nil {
						t.Error(err)
						return
					}
					t.Attr("pact-interaction-verified", name)
				})
			}
			t.Error("the server's answers are not those of the contract: the verifier says above what differs")
		})
	}
	switch {
	case s.skip != nil && skipped == 0:
		t.Errorf("no interaction is named like %q: there is nothing to skip", s.skip)
	case verified == 0 && !t.Failed():
		t.Error("no interaction was verified")
	}
}

// wants says whether a pact file is to be verified.
func (s *server) wants(file string) bool {
	return s.pacts == nil || slices.Contains(s.pacts, file)
}

// verifyOnly verifies some of a pact's interactions.
func (s *server) verifyOnly(t *testing.T, pact pactFile, names []string) error {
	t.Helper()
	var asked atomic.Int64
	handlers := models.StateHandlers{}
	for _, i := range pact.Interactions {
		for _, given := range i.ProviderStates {
			handlers[given.Name] = s.handle
		}
	}
	err := provider.NewVerifier().VerifyProvider(t, provider.VerifyRequest{
		Provider:             pact.Provider.Name,
		ProviderBaseURL:      s.url,
		PactFiles:            []string{only(t, pact, names)},
		StateHandlers:        handlers,
		CustomTLSConfig:      &tls.Config{RootCAs: s.roots, GetClientCertificate: s.present},
		DisableColoredOutput: true,
		RequestFilter: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				next.ServeHTTP(w, r)
			})
		},
	})
	if got := asked.Load(); err == nil && got != int64(len(names)) {
		return fmt.Errorf("the verifier made %d requests for %d interactions of %s", got, len(names), pact.file)
	}
	return err
}

// only writes a pact file with the named interactions alone.
func only(t *testing.T, pact pactFile, names []string) string {
	t.Helper()
	var file map[string]json.RawMessage
	var all, some []json.RawMessage
	err := errors.Join(json.Unmarshal(pact.text, &file), json.Unmarshal(file["interactions"], &all))
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for n, i := range pact.Interactions {
		if wanted[i.Description] {
			some = append(some, all[n])
		}
	}
	if file["interactions"], err = json.Marshal(some); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), pact.file)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// handle makes and ends a state for the verifier.
func (s *server) handle(setup bool, given models.ProviderState) (models.ProviderStateResponse, error) {
	s.certificate.Store(nil)
	if !setup {
		if s.clear == nil {
			return nil, nil
		}
		return nil, s.clear()
	}
	params, _ := given.Parameters["params"].(map[string]any) // absent: there are none
	values, err := s.set(given.Name, params)
	if err != nil {
		return nil, err
	}
	cert, key := stateParams(values).text("client_certificate"), stateParams(values).text("client_key")
	if cert != "" {
		pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			return nil, fmt.Errorf("the client_certificate and client_key of the state %q: %w", given.Name, err)
		}
		s.certificate.Store(&pair)
	}
	return values, nil
}

func (s *server) present(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if certificate := s.certificate.Load(); certificate != nil {
		return certificate, nil
	}
	return &tls.Certificate{}, nil // none
}
