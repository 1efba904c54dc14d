package main

import (
	"github.com/muster-agent/muster/adapters/dpapi"
	"github.com/muster-agent/muster/adapters/winacl"
	"github.com/muster-agent/muster/ports"
)

// protection is what keeps secrets at rest, and directories from others.
func protection() (ports.Protector, ports.Guard) { return dpapi.Protector{}, winacl.Guard{} }
