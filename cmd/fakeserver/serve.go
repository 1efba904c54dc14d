package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/muster-agent/muster/fakeserver"
)

// defaultSite is there when no site is named.
const defaultSite = "ACME-HQ"

// readyLine is what serve prints once it listens.
type readyLine struct {
	Event  string               `json:"event"`
	URL    string               `json:"url"`
	CAFile string               `json:"ca_file"` // empty with --tls off
	Sites  []fakeserver.SiteKey `json:"sites"`
}

// serve serves until ctx is done.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	server := &fakeserver.Server{ErrorLog: log.New(stderr, "", log.LstdFlags)}
	flags := flag.NewFlagSet("fakeserver serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8443", "`address` to listen on; port 0 picks one")
	flags.Func("tls", "`self` for https by a CA of its own (the default), off for http", func(value string) error {
		if value != "self" && value != "off" {
			return errors.New("it may be self or off")
		}
		server.PlainHTTP = value == "off"
		return nil
	})
	caOut := flags.String("ca-out", "", "`file` for the CA to trust (default a temporary file, removed at the end)")
	var sites [][2]string
	flags.Func("site", "`CODE=KEY` of a site, key cek_…; without =KEY one is made; may be given several times (default "+defaultSite+")", func(value string) error {
		code, key, given := strings.Cut(value, "=")
		if code == "" || given && key == "" {
			return errors.New("it is not CODE=KEY or CODE")
		}
		sites = append(sites, [2]string{code, key})
		return nil
	})
	flags.TextVar(&server.Approval, "approve", fakeserver.Approval{}, "`when` the manager approves: auto, manual, or after=N polls")
	flags.DurationVar(&server.CertLifetime, "cert-lifetime", time.Hour, "how long certificates are valid, at least 1s")
	flags.DurationVar(&server.CertAge, "cert-age", 0, "how much of that time has passed already of a host's first certificate, so that it is renewed sooner")
	flags.DurationVar(&server.CRLLifetime, "crl-lifetime", 24*time.Hour, "time to a revocation list's next update, at least 1s")
	flags.BoolVar(&server.NoRenew, "no-renew", false, "a manager without the renew endpoint")
	flags.BoolVar(&server.IgnoreCSR, "ignore-csr", false, "a manager that makes the keys itself")
	flags.BoolVar(&server.AllowReRegister, "reregister", false, "a manager that lets a known host register again")
	flags.DurationVar(&server.RegisterInterval, "register-interval", 0, "least time between registrations from an address; 0 for none")
	flags.IntVar(&server.EnrollPerMinute, "enroll-per-minute", 0, "enrollments a minute for a site and address (default 6000); -1 for no limit")
	flags.DurationVar(&server.SeenRecently, "seen-recently", 0, "how long a machine counts as active after it was seen (default 5m); -1s: while connected only")
	flags.StringVar(&server.LegacyKey, "legacy-key", "", "deprecated shared API `key` that any machine may connect with")
	if err := parse(flags, args); err != nil {
		return err
	}
	if server.CertLifetime < time.Second || server.CRLLifetime < time.Second {
		return errors.New("--cert-lifetime and --crl-lifetime are at least 1s")
	}

	ready := readyLine{Event: "ready"}
	if len(sites) == 0 {
		sites = [][2]string{{defaultSite, ""}}
	}
	for _, site := range sites {
		key, err := server.AddSite(site[0], site[1])
		if err != nil {
			return err
		}
		ready.Sites = append(ready.Sites, key)
	}
	if !server.PlainHTTP {
		file, remove, err := writeCA(*caOut, server.CACertPEM())
		if err != nil {
			return fmt.Errorf("the CA to trust cannot be written: %w", err)
		}
		defer remove()
		ready.CAFile = file
	}
	if err := server.Start(ctx, *addr); err != nil {
		return err
	}
	defer server.Close()
	ready.URL = server.URL()
	if err := json.NewEncoder(stdout).Encode(ready); err != nil {
		return fmt.Errorf("the ready line cannot be written: %w", err)
	}
	<-ctx.Done()
	return nil
}

// writeCA writes the CA's certificate to file, in one step so that a reader
// never sees half of it; or, if file is empty, to a temporary file that
// remove removes.
func writeCA(file string, pem []byte) (name string, remove func(), err error) {
	directory := os.TempDir()
	if file != "" {
		directory = filepath.Dir(file)
	}
	f, err := os.CreateTemp(directory, "fakeserver-ca-*.pem")
	if err != nil {
		return "", nil, err
	}
	remove = func() {
		// What cannot be removed holds no secret.
		_ = os.Remove(f.Name())
	}
	_, err = f.Write(pem)
	if err = errors.Join(err, f.Close(), os.Chmod(f.Name(), 0o644)); err != nil {
		remove()
		return "", nil, err
	}
	if file == "" {
		return f.Name(), remove, nil
	}
	if err := os.Rename(f.Name(), file); err != nil {
		remove()
		return "", nil, err
	}
	return file, func() {}, nil
}
