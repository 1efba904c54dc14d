package fakeserver_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/fakeserver"
)

func TestZeroValueIsAHandler(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var s fakeserver.Server
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/api/enroll", strings.NewReader(enrollBody(nil)))
	r.Header.Set("Content-Type", "application/json")
	s.ServeHTTP(w, r)
	is.Equal(w.Code, 401) // no site is known
	is.True(w.Header().Get("Date") != "")
	is.Equal(s.URL(), "")
	s.Close()
}

func TestTLSNamesAndVersions(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(c.s.URL(), "https://"))
	is.NoErr(err)
	base := rootsOf(t, c.s)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: base, ServerName: name})
		is.NoErr(err)
		is.NoErr(conn.Close())
	}
	_, err = tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: base, ServerName: "example.org"})
	is.True(err != nil) // of another name
	_, err = tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: base, ServerName: "localhost", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	is.True(err != nil) // by TLS 1.1
	_, err = tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{ServerName: "localhost"})
	is.True(err != nil) // by the system's roots
}

func TestExpiredTLSCertificate(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{TLSNotAfter: time.Now().Add(-time.Hour)})
	_, err := c.try("GET", "/_fake/state", "")
	is.True(err != nil) // it has expired
	is.True(strings.Contains(err.Error(), "expired"))
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{PlainHTTP: true})
	is.True(strings.HasPrefix(c.s.URL(), "http://127.0.0.1:"))
	is.Equal(c.enroll(nil).status, 201)
}

func TestStartTwiceAndOnATakenAddress(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	is.True(c.s.Start(t.Context(), "127.0.0.1:0") != nil) // it listens already
	var other fakeserver.Server
	is.True(other.Start(t.Context(), strings.TrimPrefix(c.s.URL(), "https://")) != nil)
}

func TestContextEndsTheServer(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var s fakeserver.Server
	ctx, cancel := context.WithCancel(t.Context())
	is.NoErr(s.Start(ctx, "127.0.0.1:0"))
	cancel()
	ended, stop := context.WithTimeout(t.Context(), timeout)
	defer stop()
	is.NoErr(s.Await(ended, func() bool { return s.URL() == "" }))
	s.Close()
}
