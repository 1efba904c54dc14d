package ports_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

const plain = "cak_S3cretS3cretS3cretS3cret"

// leaks reports whether text holds a part of the secret: 8 characters of it,
// plainly, in hexadecimal or as Go prints bytes.
func leaks(text string) bool {
	lower := strings.ToLower(text)
	for i := 0; i+8 <= len(plain); i++ {
		part := plain[i : i+8]
		for _, form := range []string{
			part, strings.ToLower(part), fmt.Sprintf("%x", part), fmt.Sprintf("% x", part),
			strings.Trim(fmt.Sprint([]byte(part)), "[]"), fmt.Sprintf("%U", []rune(part)),
		} {
			if strings.Contains(text, form) || strings.Contains(lower, strings.ToLower(form)) {
				return true
			}
		}
	}
	return false
}

func TestTheLeakDetectorSeesALeak(t *testing.T) {
	is := is.New(t)
	is.True(leaks("x " + plain))
	is.True(leaks(fmt.Sprintf("%x", plain)))
	is.True(leaks(fmt.Sprintf("%v", []byte(plain))))
	is.True(leaks(plain[3:12]))
	is.True(!leaks("[redacted]"))
}

type holder struct {
	Public  ports.Secret
	private ports.Secret
	Nested  struct{ Key ports.Secret }
	Pointer *ports.Secret
	Any     any
}

// containers are the shapes in which a secret may reach a printer.
func containers() map[string]any {
	s := ports.NewSecret(plain)
	h := holder{Public: s, private: s, Pointer: &s, Any: s}
	h.Nested.Key = s
	return map[string]any{
		"value": s, "pointer": &s, "pointer to pointer": func() any { p := &s; return &p }(),
		"struct": h, "pointer to struct": &h, "slice": []ports.Secret{s}, "slice of structs": []holder{h},
		"array": [1]ports.Secret{s}, "map": map[string]ports.Secret{"k": s}, "map of any": map[string]any{"k": h},
		"error": fmt.Errorf("with %v", s), "wrapped": errors.Join(fmt.Errorf("%+v", h)),
		"received": ports.ReceivedBundle{Received: ports.Received{Raw: s}}, "decision": ports.Issued{Bundle: ports.Bundle{Key: s}}, "pending": ports.PendingIssue{Resume: s},
		"credential": ports.Credential{Key: s}, "request": ports.SiteRequest{EnrollmentKey: s}, "outcome": ports.SiteEnrolledNew{Key: s},
		"answer": ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteEnrolledNew{Key: s}}, "hello": ports.RelayHello{Key: s}, "settings": ports.Settings{APIKey: s},
		"channel": make(chan ports.Secret, 1), "function": func() ports.Secret { return s },
	}
}

func TestSecretDoesNotLeakThroughFmt(t *testing.T) {
	verbs := "vTtbcdoOqxXUeEfFgGsp"
	for name, value := range containers() {
		for _, verb := range verbs {
			for _, flags := range []string{"", "+", "#", " ", "-20", "010", "# ", ".3"} {
				format := "%" + flags + string(verb)
				if text := fmt.Sprintf(format, value); leaks(text) {
					t.Errorf("%s of a %s leaks: %s", format, name, text)
				}
			}
		}
		if text := fmt.Sprint(value) + fmt.Sprintln(value); leaks(text) {
			t.Errorf("Sprint of a %s leaks: %s", name, text)
		}
	}
	is.New(t).Equal(fmt.Sprintf("%x|%s|%d", ports.NewSecret(plain), ports.NewSecret(plain), ports.NewSecret(plain)), "[redacted]|[redacted]|[redacted]")
}

func TestSecretDoesNotLeakThroughSlog(t *testing.T) {
	for name, value := range containers() {
		var text, jsonText bytes.Buffer
		opts := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
		for _, l := range []*slog.Logger{slog.New(slog.NewTextHandler(&text, opts)), slog.New(slog.NewJSONHandler(&jsonText, opts))} {
			l.Info("m", "k", value, slog.Any("a", value), slog.Group("g", "k", value))
			l.With("k", value).WithGroup("g").Debug("m", "k", value)
		}
		if leaks(text.String()) || leaks(jsonText.String()) {
			t.Errorf("a %s leaks through slog:\n%s%s", name, &text, &jsonText)
		}
		if text.Len() == 0 || jsonText.Len() == 0 {
			t.Errorf("a %s was not logged at all", name)
		}
	}
}

func TestSecretDoesNotLeakThroughEncoders(t *testing.T) {
	for name, value := range containers() {
		var out bytes.Buffer
		j, jsonErr := json.Marshal(value)
		x, xmlErr := xml.Marshal(value)
		gobErr := gob.NewEncoder(&out).Encode(value)
		for encoder, text := range map[string]string{
			"json": string(j), "xml": string(x), "gob": out.String(),
			"their errors": fmt.Sprint(jsonErr, xmlErr, gobErr),
		} {
			if leaks(text) {
				t.Errorf("a %s leaks through %s: %q", name, encoder, text)
			}
		}
	}
	_, err := json.Marshal(ports.NewSecret(plain))
	is.New(t).True(errors.Is(err, ports.ErrSecretEncoding))
}

func TestSecretDoesNotLeakThroughPanic(t *testing.T) {
	defer func() {
		if text := fmt.Sprint(recover()); leaks(text) {
			t.Errorf("a panic leaks: %s", text)
		}
	}()
	panic(holder{Public: ports.NewSecret(plain)})
}

func TestSecret(t *testing.T) {
	is := is.New(t)
	s := ports.NewSecret(plain)
	is.Equal(s.Reveal(), plain)
	is.True(!s.Empty())
	is.True(s.Equal(ports.NewSecret(plain)))
	is.True(!s.Equal(ports.NewSecret(plain + "x")))
	is.True(!s.Equal(ports.Secret{}))
	is.True(ports.Secret{}.Equal(ports.NewSecret("")))
	is.True(ports.NewSecret("").Empty())
	is.Equal(ports.Secret{}.Reveal(), "")
	is.Equal(ports.Secret{}.Fingerprint(), "")
	is.Equal(ports.NewSecret("abc").Fingerprint(), "ba7816bf") // FIPS 180-4's example

	var read struct{ Key ports.Secret }
	is.NoErr(json.Unmarshal([]byte(`{"Key":"abc"}`), &read))
	is.Equal(read.Key.Reveal(), "abc")
}

func TestSignalIsNotPrinted(t *testing.T) {
	s := ports.PresentSignal(plain)
	for _, verb := range "vTqxXsd" {
		for _, value := range []any{s, &s, ports.MachineSignals{SystemUUID: s}, []ports.Signal{s}, struct{ hidden ports.Signal }{s}} {
			if text := fmt.Sprintf("%"+string(verb), value) + fmt.Sprintf("%+"+string(verb), value); leaks(text) {
				t.Errorf("%%%c of %T leaks: %s", verb, value, text)
			}
		}
	}
	is.New(t).Equal(fmt.Sprint(s, ports.UnreadableSignal(), ports.Signal{}), "present unreadable absent")
}
