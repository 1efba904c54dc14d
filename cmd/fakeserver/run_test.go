package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

// serving runs serve until stop, which gives its exit code.
func serving(t *testing.T, args ...string) (ready readyLine, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	r, w := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...), w, &stderr)
		w.Close()
	}()
	if err := json.NewDecoder(r).Decode(&ready); err != nil {
		t.Fatalf("no ready line: %v; exit code %d, %s", err, <-code, &stderr)
	}
	return ready, func() int { cancel(); return <-code }
}

func TestServe(t *testing.T) {
	is := is.New(t)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("TMP", os.Getenv("TMPDIR")) // the same on Windows
	ready, stop := serving(t, "--site", "A=cek_0123456789", "--site", "B", "--approve", "after=2", "--cert-lifetime", "5s")
	is.Equal(ready.Event, "ready")
	is.True(strings.HasPrefix(ready.URL, "https://127.0.0.1:"))
	is.Equal(len(ready.Sites), 2)
	is.Equal(ready.Sites[0].EnrollmentKey, "cek_0123456789")
	is.True(strings.HasPrefix(ready.Sites[0].Fingerprint, "v1 ("))
	is.True(strings.HasPrefix(ready.Sites[1].EnrollmentKey, "cek_"))

	roots, err := pool(ready.CAFile)
	is.NoErr(err)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	answer, err := client.Get(ready.URL + "/_fake/state")
	is.NoErr(err)
	is.NoErr(answer.Body.Close())
	is.Equal(answer.StatusCode, 200)

	is.Equal(stop(), 0)
	_, err = os.Stat(ready.CAFile)
	is.True(os.IsNotExist(err)) // removed at the end
}

func TestServeWritesTheCAWhereTold(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	is.NoErr(os.WriteFile(file, []byte("old"), 0o600))
	ready, stop := serving(t, "--ca-out", file)
	is.Equal(ready.CAFile, file)
	is.Equal(ready.Sites[0].SiteCode, "ACME-HQ")
	is.Equal(stop(), 0)
	pem, err := os.ReadFile(file)
	is.NoErr(err)
	is.True(strings.HasPrefix(string(pem), "-----BEGIN CERTIFICATE-----"))
	names, err := os.ReadDir(filepath.Dir(file))
	is.NoErr(err)
	is.Equal(len(names), 1) // nothing beside it
}

func TestServeWithoutTLS(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ready, stop := serving(t, "--tls", "off")
	is.True(strings.HasPrefix(ready.URL, "http://127.0.0.1:"))
	is.Equal(ready.CAFile, "")
	is.Equal(stop(), 0)
}

func TestBadUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{},
		{"nothing"},
		{"serve", "extra"},
		{"serve", "--unknown"},
		{"serve", "--tls", "on"},
		{"serve", "--site", "=cek_0123456789"},
		{"serve", "--site", "A="},
		{"serve", "--site", "A=0123456789"},
		{"serve", "--site", "A", "--site", "A"},
		{"serve", "--approve", "never"},
		{"serve", "--cert-lifetime", "1ms"},
		{"serve", "--addr", "nowhere"},
		{"serve", "--ca-out", filepath.Join(t.TempDir(), "missing", "ca.pem")},
		{"demo", "--muster", filepath.Join(t.TempDir(), "missing")},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			var stdout, stderr bytes.Buffer
			is.Equal(run(t.Context(), args, &stdout, &stderr), 1)
			is.Equal(stdout.String(), "")
			is.True(stderr.Len() > 0)
		})
	}
	var stdout, stderr bytes.Buffer
	is.New(t).Equal(run(t.Context(), []string{"serve", "-h"}, &stdout, &stderr), 0)
	for _, help := range []string{"-h", "--help", "help"} {
		stdout.Reset()
		is.New(t).Equal(run(t.Context(), []string{help}, &stdout, &stderr), 0)
		is.New(t).Equal(stdout.String(), usage)
	}
}
