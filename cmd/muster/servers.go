package main

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/muster-agent/muster/adapters/managerapi"
	"github.com/muster-agent/muster/adapters/mtls"
	"github.com/muster-agent/muster/adapters/siteapi"
	"github.com/muster-agent/muster/adapters/transport"
	"github.com/muster-agent/muster/adapters/wsrelay"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

// userAgent is how this program names itself to a server.
func userAgent() string {
	return fmt.Sprintf("muster/%s (%s; %s)", version, runtime.GOOS, runtime.GOARCH)
}

// servers are the ways to the servers of a configuration. To its issuer the
// certificate of inUse proves who asks.
func servers(s ports.Settings, inUse *mtls.Holder) (to app.Servers, err error) {
	trusted, err := transport.New(transport.Options{
		TrustCAFile: s.TrustCAFile, TrustSPKISHA256: s.TrustSPKISHA256, Proxy: s.Proxy, DevInsecureTLS: s.DevInsecureTLS,
	})
	if err != nil {
		return app.Servers{}, err
	}
	if s.SiteConfigured() {
		to.Site = siteapi.New(s.ServerURL, trusted, userAgent(), transport.Describe)
	}
	if s.ServerURL != nil || s.RelayURL != nil {
		to.Relay = wsrelay.New(wsrelay.Endpoint(s.ServerURL, s.RelayURL), s.RelayAuthHeader, trusted, userAgent(), transport.Describe)
	}
	if s.ManagerURL != nil {
		manager, err := manager(s, inUse)
		if err != nil {
			return app.Servers{}, fmt.Errorf("the trust in the manager: %w", err)
		}
		to.Issuer, to.Revocations = manager, manager
	}
	return to, nil
}

func manager(s ports.Settings, inUse *mtls.Holder) (*managerapi.Client, error) {
	options := transport.Options{
		TrustCAFile: s.ManagerTrustCAFile, TrustSPKISHA256: s.ManagerTrustSPKISHA256, Proxy: s.Proxy, DevInsecureTLS: s.DevInsecureTLS,
		Variables: managerVariables(s),
	}
	plain, err := transport.New(options)
	if err != nil {
		return nil, err
	}
	options.ClientCertificate = inUse.ClientCertificate
	proven, err := transport.New(options)
	if err != nil {
		return nil, err
	}
	return managerapi.New(s.ManagerURL, plain, proven, userAgent(), options.Variables.Describe), nil
}

// managerVariables are where the trust in the manager comes from: from the
// servers' variables, unless it has its own.
func managerVariables(s ports.Settings) (v transport.Variables) {
	if s.ManagerTrustCAFile != s.TrustCAFile {
		v.CAFile = "MUSTER_MANAGER_TRUST_CA_FILE"
	}
	if !slices.Equal(s.ManagerTrustSPKISHA256, s.TrustSPKISHA256) {
		v.Pins = "MUSTER_MANAGER_TRUST_SPKI_SHA256"
	}
	return v
}
