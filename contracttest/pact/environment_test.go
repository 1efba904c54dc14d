//go:build pact

package pact_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// stateTimeout is how long a provider state may take to make. The verifier
// itself waits 10 s.
const stateTimeout = 10 * time.Second

// serverFromEnvironment is the server that the MUSTER_CONTRACT_ variables
// name; docs/CONTRACT.md says what they mean.
func serverFromEnvironment() (*server, error) {
	s := &server{url: os.Getenv("MUSTER_CONTRACT_URL"), pacts: []string{site.file(), manager.file()}}
	if u, err := url.Parse(s.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("MUSTER_CONTRACT_URL is not an http or https URL")
	}
	if names := os.Getenv("MUSTER_CONTRACT_PACTS"); names != "" {
		s.pacts = nil
		for _, name := range strings.Fields(names) {
			s.pacts = append(s.pacts, strings.TrimSuffix(name, ".json")+".json")
		}
	}
	if pattern := os.Getenv("MUSTER_CONTRACT_SKIP"); pattern != "" {
		var err error
		if s.skip, err = regexp.Compile(pattern); err != nil {
			return nil, fmt.Errorf("MUSTER_CONTRACT_SKIP is no regular expression: %w", err)
		}
	}
	if name := os.Getenv("MUSTER_CONTRACT_CA_FILE"); name != "" {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the roots that MUSTER_CONTRACT_CA_FILE names: %w", err)
		}
		s.roots = x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s, named by MUSTER_CONTRACT_CA_FILE, holds no certificate in PEM form", name)
		}
	}
	statesURL, command := os.Getenv("MUSTER_CONTRACT_STATES_URL"), os.Getenv("MUSTER_CONTRACT_STATES_COMMAND")
	var ask func([]byte) ([]byte, error)
	switch {
	case statesURL != "" && command != "":
		return nil, errors.New("MUSTER_CONTRACT_STATES_URL and MUSTER_CONTRACT_STATES_COMMAND are both set: unset one")
	case statesURL != "":
		ask = func(change []byte) ([]byte, error) { return post(statesURL, change) }
	case command != "":
		ask = func(change []byte) ([]byte, error) { return run(command, change) }
	default:
		return nil, errors.New("neither MUSTER_CONTRACT_STATES_URL nor MUSTER_CONTRACT_STATES_COMMAND says how to make the provider states")
	}
	s.set = func(name string, params map[string]any) (map[string]any, error) {
		return change(ask, "setup", name, params)
	}
	return s, nil
}

// stateChange is what a server's states are asked for, in pact's own form.
type stateChange struct {
	Action string         `json:"action"`
	State  string         `json:"state"`
	Params map[string]any `json:"params"`
}

// change asks for a state. What is answered is a JSON object of values, or
// nothing.
func change(ask func([]byte) ([]byte, error), action, name string, params map[string]any) (values map[string]any, err error) {
	text, err := json.Marshal(stateChange{action, name, params})
	if err != nil {
		return nil, err
	}
	answer, err := ask(text)
	if err != nil {
		return nil, fmt.Errorf("the state %q: %w", name, err)
	}
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(answer, &values); err != nil {
		return nil, fmt.Errorf("the state %q: what was answered is no JSON object: %w", name, err)
	}
	return values, nil
}

func post(to string, body []byte) ([]byte, error) {
	response, err := (&http.Client{Timeout: stateTimeout}).Post(to, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it is read whole
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answered %s: %s", to, response.Status, answer)
	}
	return answer, err
}

// run gives a command, as the shell reads it, a change on its standard input.
func run(command string, input []byte) ([]byte, error) {
	cmd := exec.Command("sh", "-c", command)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the command %q: %w", command, err)
	}
	return answer, nil
}
