//go:build pact

package pact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// stateFault is the state that only a fake has.
const stateFault = "the server answers as told"

// fakeStates puts a fake server into provider states, by what is open to
// every program: the three protocols and the control API below /_fake/.
type fakeStates struct {
	url    string
	client *http.Client
}

// set makes a state and gives the values that the requests need: the
// enrollment_key, the polling_token, and to renew by the client_certificate
// and its client_key.
func (f fakeStates) set(state string, params map[string]any) (values map[string]any, err error) {
	if err := f.clear(); err != nil {
		return nil, err
	}
	do, ok := map[string]func(stateParams) (map[string]any, error){
		"the site does not know the machine":                f.unknownMachine,
		"the site knows the machine":                        f.knownMachine,
		"another machine of the same machine_uid is active": f.otherMachine,
		"the site's enrollment key was rotated":             f.rotatedKey,
		"there is no such site":                             f.noSite,
		"the machine belongs to another site":               f.otherSite,

		"the manager does not know the host":            func(p stateParams) (map[string]any, error) { return nil, f.removeHost(p) },
		"the manager has the host":                      f.registered,
		"the host registered with this Idempotency-Key": f.registered,
		"a registration waits for an operator":          f.registered,
		"a registration was approved":                   f.approved,
		"a registration with a CSR was approved":        f.approved,
		"a registration was denied":                     f.denied,
		"the bundle of a registration was fetched":      f.fetched,
		"the host has a certificate":                    f.certified,
		"the manager has a revocation list":             func(stateParams) (map[string]any, error) { return nil, nil },
		stateFault:                                      f.fault,
	}[state]
	if !ok {
		return nil, fmt.Errorf("the state %q is not known", state)
	}
	values, err = do(params)
	if err != nil {
		return nil, fmt.Errorf("make the state %q: %w", state, err)
	}
	return values, nil
}

// clear ends what a state may have left that would touch the next.
func (f fakeStates) clear() error { return f.call("DELETE", "/_fake/faults", nil, nil) }

type stateParams map[string]any

func (p stateParams) text(name string) string {
	s, _ := p[name].(string) // absent: empty, which the server will refuse
	return s
}

// unknownMachine also gives a key, which may be used for other states.
func (f fakeStates) unknownMachine(p stateParams) (map[string]any, error) {
	err := f.call("POST", "/_fake/machines/"+p.text("machine_uid")+"/forget", nil, nil)
	if err != nil && !errors.Is(err, errNotFound) {
		return nil, err
	}
	var key map[string]any
	err = f.call("POST", "/_fake/sites/"+url.PathEscape(p.text("site_code"))+"/rotate", nil, &key)
	return map[string]any{"enrollment_key": key["enrollment_key"]}, err
}

func (f fakeStates) knownMachine(p stateParams) (map[string]any, error) {
	values, err := f.unknownMachine(p)
	if err != nil {
		return nil, err
	}
	return values, f.call("POST", "/api/enroll", map[string]any{
		"site_code": p["site_code"], "enrollment_key": values["enrollment_key"], "machine_uid": p["machine_uid"], "hostname": p["hostname"],
		"labels": map[string]any{"company": "", "site": "", "department": "", "device_type": "", "tags": []string{}},
	}, nil)
}

func (f fakeStates) otherMachine(p stateParams) (map[string]any, error) {
	other := stateParams{"site_code": p["site_code"], "machine_uid": p["machine_uid"], "hostname": "not-" + p.text("hostname")}
	return f.knownMachine(other)
}

func (f fakeStates) rotatedKey(p stateParams) (map[string]any, error) {
	old, err := f.unknownMachine(p)
	if err != nil {
		return nil, err
	}
	_, err = f.unknownMachine(p)
	return old, err
}

func (f fakeStates) noSite(p stateParams) (map[string]any, error) {
	err := f.call("POST", "/_fake/sites/"+url.PathEscape(p.text("site_code"))+"/rotate", nil, nil)
	if !errors.Is(err, errNotFound) {
		return nil, fmt.Errorf("there is a site %s (error %v)", p.text("site_code"), err)
	}
	return nil, nil
}

func (f fakeStates) otherSite(p stateParams) (map[string]any, error) {
	values, err := f.knownMachine(p)
	if err != nil {
		return nil, err
	}
	to := url.Values{"site": {p.text("other_site_code")}}
	return values, f.call("POST", "/_fake/machines/"+p.text("machine_uid")+"/assign?"+to.Encode(), nil, nil)
}

// enrollments are the manager's registrations of a host that are not void.
func (f fakeStates) enrollments(p stateParams) (ids []string, err error) {
	var s struct {
		Enrollments []struct {
			ID, State, FQDN string
			MachineID       string `json:"machine_id"`
		}
	}
	if err := f.call("GET", "/_fake/state", nil, &s); err != nil {
		return nil, err
	}
	for _, e := range s.Enrollments {
		if e.State != "superseded" && (e.MachineID == p.text("machine_id") || e.FQDN == p.text("fqdn")) {
			ids = append(ids, e.ID)
		}
	}
	return ids, nil
}

func (f fakeStates) removeHost(p stateParams) error {
	ids, err := f.enrollments(p)
	for _, id := range ids {
		err = errors.Join(err, f.call("POST", "/_fake/enrollments/"+id+"/remove", nil, nil))
	}
	return err
}

// registered gives the token of a new registration, with the CSR and the
// Idempotency-Key if there are any.
func (f fakeStates) registered(p stateParams) (map[string]any, error) {
	if err := f.removeHost(p); err != nil {
		return nil, err
	}
	body := map[string]any{
		"machine_id": p["machine_id"], "fqdn": p["fqdn"], "ip_address": p["ip_address"], "hostname": p["hostname"],
		"os_details": map[string]any{"distro": "", "name": "", "version": "", "codename": "", "id_like": "", "kernel": ""},
	}
	if csr := p.text("csr_pem"); csr != "" {
		body["csr_pem"] = csr
	}
	var answer map[string]any
	err := f.callWith(http.Header{"Idempotency-Key": p.idempotencyKeys()}, "POST", "/api/v1/enroll", body, &answer)
	return map[string]any{"polling_token": answer["polling_token"]}, err
}

func (p stateParams) idempotencyKeys() []string {
	if key := p.text("idempotency_key"); key != "" {
		return []string{key}
	}
	return nil
}

// decided gives the token of a registration that an operator has decided on.
func (f fakeStates) decided(p stateParams, decision string) (map[string]any, error) {
	values, err := f.registered(p)
	if err != nil {
		return nil, err
	}
	ids, err := f.enrollments(p)
	if err != nil || len(ids) != 1 {
		return nil, fmt.Errorf("the manager has registrations %v of the host, want one (error %v)", ids, err)
	}
	return values, f.call("POST", "/_fake/enrollments/"+ids[0]+"/"+decision, nil, nil)
}

func (f fakeStates) approved(p stateParams) (map[string]any, error) { return f.decided(p, "approve") }
func (f fakeStates) denied(p stateParams) (map[string]any, error)   { return f.decided(p, "deny") }

// fetched gives the token that was used.
func (f fakeStates) fetched(p stateParams) (map[string]any, error) {
	values, err := f.approved(p)
	if err != nil {
		return nil, err
	}
	return values, f.poll(values, nil)
}

func (f fakeStates) poll(values map[string]any, answer any) error {
	return f.call("GET", "/api/v1/enroll/status/"+url.PathEscape(stateParams(values).text("polling_token")), nil, answer)
}

func (f fakeStates) certified(p stateParams) (map[string]any, error) {
	values, err := f.approved(p)
	if err != nil {
		return nil, err
	}
	var bundle map[string]any
	err = f.poll(values, &bundle)
	return map[string]any{"client_certificate": bundle["server_crt"], "client_key": bundle["server_key"]}, err
}

func (f fakeStates) fault(p stateParams) (map[string]any, error) {
	action := map[string]any{"status": p["status"]}
	if headers, ok := p["headers"]; ok {
		action["headers"] = headers
	}
	switch body := p["body"].(type) {
	case nil:
	case string:
		action["body"] = body
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		action["body"] = string(text)
	}
	return nil, f.call("POST", "/_fake/faults", map[string]any{
		"match": map[string]any{"method": p["method"], "path": p["path"]}, "action": action,
	}, nil)
}

var errNotFound = errors.New("404")

func (f fakeStates) call(method, path string, body, answer any) error {
	return f.callWith(http.Header{}, method, path, body, answer)
}

// callWith asks the fake and decodes its answer, which must be a 2xx.
func (f fakeStates) callWith(header http.Header, method, path string, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
		header.Set("Content-Type", "application/json")
	}
	request, err := http.NewRequest(method, f.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header = header
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it is read whole
	said, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, path, err)
	case response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s %s: %w: %s", method, path, errNotFound, said)
	case response.StatusCode/100 != 2:
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, said)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(said, answer)
}
