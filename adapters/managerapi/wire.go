package managerapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// registerRequest is the body of a registration. Every key is always there but
// for csr_pem, which is not there without a CSR.
type registerRequest struct {
	MachineID string    `json:"machine_id"`
	FQDN      string    `json:"fqdn"`
	IPAddress string    `json:"ip_address"`
	OS        osDetails `json:"os_details"`
	Hostname  string    `json:"hostname"`
	CSR       string    `json:"csr_pem,omitempty"`
}

type osDetails struct {
	Distro   string `json:"distro"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	Codename string `json:"codename"`
	IDLike   string `json:"id_like"`
	Kernel   string `json:"kernel"`
}

type renewRequest struct {
	CSR string `json:"csr_pem"`
}

func encodeRegister(r ports.IssueRequest) []byte {
	host := r.Host
	return encode(registerRequest{
		MachineID: r.MachineID,
		FQDN:      host.FQDN,
		IPAddress: host.IPAddress,
		OS: osDetails{
			Distro:   host.OS.Distro,
			Name:     host.OS.Name,
			Version:  host.OS.Version,
			Codename: host.OS.Codename,
			IDLike:   host.OS.IDLike,
			Kernel:   host.OS.Kernel,
		},
		Hostname: host.Hostname,
		CSR:      string(r.CSR),
	})
}

func encodeRenew(csr []byte) []byte { return encode(renewRequest{CSR: string(csr)}) }

func encode(request any) []byte {
	body, err := json.Marshal(request)
	if err != nil {
		panic("managerapi: strings do not encode: " + err.Error()) // encoding/json encodes every string
	}
	return body
}

// object is a JSON object. Its names are compared exactly, as they are
// everywhere but in encoding/json's structs.
type object map[string]json.RawMessage

var errNoObject = errors.New("is not a JSON object")

// decode reads an object. Its error is a sentence part that quotes nothing.
func decode(body string) (object, error) {
	var o object
	if err := json.Unmarshal([]byte(body), &o); err != nil || o == nil {
		return nil, errNoObject
	}
	return o, nil
}

// text is a member that is a string; "" if there is none.
func (o object) text(name string) string {
	var s string
	_ = json.Unmarshal(o[name], &s) // absent, or of another type: stays empty
	return s
}

// maxToken is the longest polling token that is taken, in bytes: escaped, it
// still fits the 8000 octets of a URL that RFC 9110, section 4.1, asks every
// server and proxy to take.
const maxToken = 2048

// decodeToken finds the polling token of a registration.
func decodeToken(body string) (ports.Secret, error) {
	o, err := decode(body)
	if err != nil {
		return ports.Secret{}, err
	}
	token := o.text("polling_token")
	if strings.TrimSpace(token) == "" || len(token) > maxToken {
		return ports.Secret{}, errors.New("holds no usable polling_token")
	}
	return ports.NewSecret(token), nil
}

// bundle reads what an approval and a renewal have in common. What may be
// missing may also be null or of another type: a bundle is sent once, and one
// without it can still be judged.
func (o object) bundle() (ports.Bundle, error) {
	for _, name := range []string{"ca_crt", "server_crt"} {
		if strings.TrimSpace(o.text(name)) == "" {
			return ports.Bundle{}, fmt.Errorf("holds no %s", name)
		}
	}
	return ports.Bundle{
		CA:    []byte(o.text("ca_crt")),
		Cert:  []byte(o.text("server_crt")),
		Key:   ports.NewSecret(o.text("server_key")),
		Chain: []byte(o.text("ca_chain")),
		CRL:   []byte(o.text("crl_pem")),
	}, nil
}

// decodeDetail is what a refusal says for a person, raw; "" where it says
// nothing. The names are those in use (docs/PROTOCOLS.md, "Register").
func decodeDetail(body string) string {
	o, err := decode(body)
	if err != nil {
		return "" // a proxy's page, as like as not
	}
	for _, name := range []string{"error", "detail", "message"} {
		if words := o.text(name); words != "" {
			return words
		}
	}
	return ""
}
