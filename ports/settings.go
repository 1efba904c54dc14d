package ports

import (
	"net/url"
	"time"
)

// Settings is the configuration in force, checked for form. Zero values are
// "not set".
type Settings struct {
	// Site enrollment. ServerURL and SiteCode are as configured.
	ServerURL           *url.URL
	SiteCode            string
	EnrollmentKey       Secret
	EnrollmentKeyFile   string // the file the key was read from, if any
	ForgetEnrollmentKey bool
	ReenrollAfter       time.Duration // 0: never
	MachineUID          string
	APIKey              Secret // the deprecated shared key
	Labels              Labels
	AgentID             string

	// Relay. RelayURL is nil where it follows from ServerURL.
	RelayURL        *url.URL
	RelayAuthHeader bool

	// Manager enrollment.
	ManagerURL             *url.URL
	PollingInterval        time.Duration
	MaxPollAttempts        int
	RenewalThreshold       time.Duration
	CACertFile             string
	ServerCertFile         string
	ServerKeyFile          string
	CRLFile                string
	ReportIP               string
	ReportInterface        string
	ListenAddr             string // "off" for none
	ManagerTrustCAFile     string
	ManagerTrustSPKISHA256 [][32]byte

	// Trust for both servers and the relay.
	TrustCAFile     string
	TrustSPKISHA256 [][32]byte
	Proxy           ProxySettings

	StateDir    string
	MetricsAddr string
	LogLevel    string // debug, info, warn, error
	LogFormat   string // text, json
	Delays      DelayPolicy

	// Only in builds with the dev tag.
	DevInsecureTLS  bool
	DevInsecureHTTP bool
}

// ProxySettings are HTTPS_PROXY, HTTP_PROXY and NO_PROXY. A proxy's URL may
// hold a password.
type ProxySettings struct {
	HTTPS, HTTP Secret
	No          string
}

// SiteConfigured reports whether all that a site enrollment needs is set.
func (s Settings) SiteConfigured() bool {
	return s.ServerURL != nil && s.SiteCode != "" && !s.EnrollmentKey.Empty()
}

// Server is ServerURL in the form in which it is recorded; empty if it is not
// set.
func (s Settings) Server() string {
	if s.ServerURL == nil {
		return ""
	}
	return s.ServerURL.String()
}

// IssuerURL is the URL of the configured issuer; nil if none is.
func (s Settings) IssuerURL() *url.URL { return s.ManagerURL }
