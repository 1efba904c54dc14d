//go:build linux

package main

import (
	"os"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s       samples
		q, want float64
	}{
		{nil, 0.5, 0},
		{samples{3}, 0.9, 3},
		{samples{4, 1, 2}, 0.5, 2},
		{samples{4, 1, 2, 3}, 0.5, 2.5},
		{samples{0, 10}, 0.1, 1},
		{samples{0, 10}, 1, 10},
	} {
		if got := c.s.quantile(c.q); got != c.want {
			t.Errorf("quantile %v of %v = %v, want %v", c.q, c.s, got, c.want)
		}
	}
}

func TestOwnerOf(t *testing.T) {
	t.Parallel()
	for symbol, want := range map[string]string{
		"main.main": "muster: cmd/muster",
		"github.com/muster-agent/muster/domain/retry.Wait":                          "muster: domain/retry",
		"github.com/spf13/cobra.(*Command).Execute":                                 "github.com/spf13/cobra",
		"github.com/caarlos0/env/v11.ParseAs[github.com/muster-agent/muster/app.T]": "github.com/caarlos0/env",
		"gopkg.in/yaml%2ev3.Marshal":                                                "gopkg.in/yaml.v3",
		"net/http.(*Transport).RoundTrip":                                           "net/http",
		"crypto/internal/fips140/sha256.New":                                        "crypto",
		"runtime.mallocgc":                                                          "runtime",
		"vendor/golang.org/x/net/idna.ToASCII":                                      "vendor",
		"type:*net/http.Transport":                                                  "(types, interface tables, strings)",
		"_end":                                                                      "(no package)",
	} {
		if got := ownerOf(symbol); got != want {
			t.Errorf("ownerOf(%q) = %q, want %q", symbol, got, want)
		}
	}
}

func TestReadUsage(t *testing.T) {
	t.Parallel()
	before, err := readUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	after, sum := before, 0
	for deadline := time.Now().Add(time.Minute); after.cpu <= before.cpu && time.Now().Before(deadline); {
		for i := range 50_000_000 {
			sum += i
		}
		if after, err = readUsage(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if after.cpu <= before.cpu || after.resident < 1 || after.private <= 0 || after.threads < 2 || sum == 0 {
		t.Errorf("after some work this process has used %+v, before it %+v", after, before)
	}
}
