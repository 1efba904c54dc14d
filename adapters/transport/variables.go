package transport

import "cmp"

// Variables are the names of the settings that say whom to believe, as errors
// advise about them. An empty one is that of the servers.
type Variables struct {
	CAFile string // of Options.TrustCAFile
	Pins   string // of Options.TrustSPKISHA256
}

func (v Variables) caFile() string { return cmp.Or(v.CAFile, "MUSTER_TRUST_CA_FILE") }
func (v Variables) pins() string   { return cmp.Or(v.Pins, "MUSTER_TRUST_SPKI_SHA256") }
