package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

func TestDurationsInTheLogAreShort(t *testing.T) {
	for format, want := range map[string][]string{
		"text": {"wait=1m2s", "request.took=68ms"},
		"json": {`"wait":"1m2s"`, `"took":"68ms"`},
	} {
		is := is.New(t)
		var written, events bytes.Buffer
		p := &program{stderr: &written, events: slog.NewJSONHandler(&events, nil)}
		p.logger(ports.Settings{LogFormat: format}).With("wait", 61567913983*time.Nanosecond).Info("x", slog.Group("request", "took", 67913983*time.Nanosecond))
		for _, part := range want {
			is.True(strings.Contains(written.String(), part)) // as a person reads it
		}
		is.True(strings.Contains(events.String(), `"wait":"1m2s","request":{"took":"68ms"}`)) // to a service manager too
	}
}
