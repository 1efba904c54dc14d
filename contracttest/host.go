package contracttest

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// HostDescriber is the suite of ports.HostDescriber. fresh makes a describer of a
// host that does not change meanwhile; several calls may give the same host.
// cutOff makes a describer of a host without any address.
func HostDescriber(t *testing.T, fresh, cutOff func(*testing.T) ports.HostDescriber) {
	names(t, "HostDescriber")
	const manager = "127.0.0.1" // reached without a network

	t.Run("describes a host within 10 s", func(t *testing.T) {
		is := is.New(t)
		quickly(t, 10*time.Second, func() time.Duration {
			start := time.Now()
			facts, err := fresh(t).Describe(t.Context(), manager)
			is.NoErr(err)
			hostFacts(t, facts)
			return time.Since(start)
		})
	})
	t.Run("says the same each time, as does another describer of the host", func(t *testing.T) {
		is := is.New(t)
		describer := fresh(t)
		first, err := describer.Describe(t.Context(), manager)
		is.NoErr(err)
		for _, d := range []ports.HostDescriber{describer, fresh(t)} {
			again, err := d.Describe(t.Context(), manager)
			is.NoErr(err)
			is.Equal(again, first)
		}
	})
	t.Run("fails at once with the context's error when it is done", func(t *testing.T) {
		is := is.New(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		quickly(t, time.Second, func() time.Duration {
			start := time.Now()
			facts, err := fresh(t).Describe(ctx, manager)
			is.True(errors.Is(err, context.Canceled))
			is.Equal(facts, ports.HostFacts{})
			return time.Since(start)
		})
	})
	t.Run("names what to configure where there is no address", func(t *testing.T) {
		is := is.New(t)
		facts, err := cutOff(t).Describe(t.Context(), manager)
		is.True(err != nil) // there is no address
		is.True(strings.Contains(err.Error(), "MUSTER_REPORT_IP"))
		is.Equal(facts, ports.HostFacts{})
	})
}

// hostFacts checks that a manager can store the facts.
func hostFacts(t *testing.T, facts ports.HostFacts) {
	t.Helper()
	address, err := netip.ParseAddr(facts.IPAddress)
	if err != nil || address.Zone() != "" || address.IsUnspecified() || address.IsMulticast() || address.Is4In6() {
		t.Errorf("the address %q (%v)", facts.IPAddress, err)
	}
	if facts.Hostname == "" || facts.FQDN == "" || strings.HasSuffix(facts.FQDN, ".") || facts.OS.Name == "" {
		t.Errorf("too little: %+v", facts)
	}
	for _, text := range []string{
		facts.Hostname, facts.FQDN, facts.OS.Distro, facts.OS.Name, facts.OS.Version, facts.OS.Codename, facts.OS.IDLike, facts.OS.Kernel,
	} {
		if strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("a control character in %q", text)
		}
	}
}
