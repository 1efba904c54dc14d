package siteapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
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

var errTooLarge = errors.New("more than 1 MiB came")

// readBody reads all of a body, or nothing of one over maxBody.
func readBody(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > maxBody {
		return nil, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, errTooLarge
	}
	return body, nil
}

// decodeKey finds the API key in an answer. Names are compared exactly, as
// they are everywhere but in encoding/json's structs. Its errors are sentence
// parts that quote nothing.
func decodeKey(body []byte) (ports.Secret, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
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
func decodeDetail(body []byte) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
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

// redirectDetail names the host that a redirect leads to.
func redirectDetail(resp *http.Response) string {
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || to.Host == "" {
		return "a redirect, which is not followed"
	}
	return "a redirect to " + to.Scheme + "://" + to.Host + ", which is not followed"
}

// serverTime is the Date header, zero if there is none.
func serverTime(resp *http.Response) time.Time {
	t, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// bodyError is what went wrong with reading a body, as a sentence part.
func (c *Client) bodyError(err error) string {
	if errors.Is(err, errTooLarge) {
		return err.Error()
	}
	return "not everything came: " + c.describe(err)
}
