package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

func TestDurationsInTheLogAreShort(t *testing.T) {
	for format, want := range map[string][]string{
		"text": {"wait=1m2s", "took=68ms"},
		"json": {`"wait":"1m2s"`, `"took":"68ms"`},
	} {
		is := is.New(t)
		var written bytes.Buffer
		p := &program{stderr: &written}
		p.logger(ports.Settings{LogFormat: format}).Info("x", "wait", 61567913983*time.Nanosecond, "took", 67913983*time.Nanosecond)
		for _, part := range want {
			is.True(strings.Contains(written.String(), part)) // as a person reads it
		}
	}
}
