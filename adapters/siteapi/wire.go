package siteapi

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/muster-agent/muster/ports"
)

// enrollRequest is the body of a request. Every key is always there.
type enrollRequest struct {
	SiteCode      string        `json:"site_code"`
	EnrollmentKey string        `json:"enrollment_key"`
	MachineUID    string        `json:"machine_uid"`
	Hostname      string        `json:"hostname"`
	Labels        requestLabels `json:"labels"`
}

type requestLabels struct {
	Company    string   `json:"company"`
	Site       string   `json:"site"`
	Department string   `json:"department"`
	DeviceType string   `json:"device_type"`
	Tags       []string `json:"tags"`
}

func encode(r ports.SiteRequest) []byte {
	body, err := json.Marshal(enrollRequest{
		SiteCode:      r.SiteCode,
		EnrollmentKey: r.EnrollmentKey.Reveal(),
		MachineUID:    r.MachineUID,
		Hostname:      r.Hostname,
		Labels: requestLabels{
			Company:    r.Labels.Company,
			Site:       r.Labels.Site,
			Department: r.Labels.Department,
			DeviceType: r.Labels.DeviceType,
			Tags:       append([]string{}, r.Labels.Tags...),
		},
	})
	if err != nil {
		panic("siteapi: strings do not encode: " + err.Error()) // encoding/json encodes every string
	}
	return body
}

// decodeKey finds the API key in an answer. Names are compared exactly, as
// they are everywhere but in encoding/json's structs. Its errors are sentence
// parts that quote nothing.
func decodeKey(body string) (ports.Secret, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		return ports.Secret{}, errors.New("is not a JSON object")
	}
	var key string
	if err := json.Unmarshal(fields["key"], &key); err != nil || !usable(key) {
		return ports.Secret{}, errors.New("holds no usable key")
	}
	return ports.NewSecret(key), nil
}

// usable says whether a key has the form of docs/PROTOCOLS.md, "Secrets and where
// they go".
func usable(key string) bool {
	return strings.HasPrefix(key, "cak_") && utf8.RuneCountInString(key) >= 20 &&
		!strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar })
}

// decodeDetail is what a refusal says for a person: its error and its code,
// raw; "" where there is neither.
func decodeDetail(body string) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(body), &fields) != nil {
		return "" // a proxy's page, as like as not
	}
	var message, code string
	_ = json.Unmarshal(fields["error"], &message) // absent, or of another type: stays empty
	_ = json.Unmarshal(fields["code"], &code)     // the same
	if len(code) > 40 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		code = ""
	}
	switch {
	case code == "":
		return message
	case message == "":
		return code
	}
	return code + ": " + message
}
