//go:build !windows

package main

import "github.com/muster-agent/muster/ports"

// protection is none besides the files' modes.
func protection() (ports.Protector, ports.Guard) { return nil, nil }
