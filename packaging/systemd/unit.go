// Package systemd holds the systemd unit that the packages install and that
// `muster service install` writes for a program copied by hand.
package systemd

import _ "embed"

// Unit is muster.service. It names the program /usr/bin/muster.
//
//go:embed muster.service
var Unit string
