package transport

import "cmp"

// Variables are the names of the settings of trust, for the advice in errors. An
// empty one stands for the name of the common setting.
type Variables struct {
	CAFile string // of Options.TrustCAFile
	Pins   string // of Options.TrustSPKISHA256
}

func (v Variables) caFile() string { return cmp.Or(v.CAFile, "MUSTER_TRUST_CA_FILE") }
func (v Variables) pins() string   { return cmp.Or(v.Pins, "MUSTER_TRUST_SPKI_SHA256") }
