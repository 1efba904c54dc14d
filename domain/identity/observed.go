package identity

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/muster-agent/muster/ports"
)

// sources are the ways to identify a machine, the strongest first, each with the
// signals that it needs. It needs all of them.
var sources = []struct {
	source ports.IdentitySource
	kinds  []ports.SignalKind
}{
	{ports.SourceSystemUUID, []ports.SignalKind{ports.SignalSystemUUID}},
	{ports.SourceBaseboardDisk, []ports.SignalKind{ports.SignalBaseboardSerial, ports.SignalDiskSerial}},
	{ports.SourceMachineID, []ports.SignalKind{ports.SignalOSMachineID}},
}

// hardware are the signals that count as evidence. machine-id and MachineGuid
// never do: a copied disk carries them along, and a re-image changes them.
var hardware = []ports.SignalKind{ports.SignalSystemUUID, ports.SignalBaseboardSerial, ports.SignalDiskSerial}

// observed is what the signals say today. A kind in neither map is absent;
// so are placeholders and, in a container, the host's hardware.
type observed struct {
	values     map[ports.SignalKind]string // normalised
	unreadable map[ports.SignalKind]bool
}

func observe(signals ports.MachineSignals) observed {
	now := observed{map[ports.SignalKind]string{}, map[ports.SignalKind]bool{}}
	if !signals.Container {
		now.add(ports.SignalSystemUUID, signals.SystemUUID)
		now.add(ports.SignalBaseboardSerial, signals.BaseboardSerial)
		now.add(ports.SignalDiskSerial, signals.DiskSerial)
	}
	now.add(ports.SignalOSMachineID, signals.OSMachineID)
	return now
}

func (now observed) add(kind ports.SignalKind, signal ports.Signal) {
	if signal.Unreadable() {
		now.unreadable[kind] = true
		return
	}
	if value := Normalise(signal.Value()); !Placeholder(kind, value) {
		now.values[kind] = value
	}
}

// need returns the values of all kinds. If some may not be read, and none is
// absent, denied is the first of those: reading them would have helped.
func (now observed) need(kinds []ports.SignalKind) (values []string, denied ports.SignalKind, complete bool) {
	for _, kind := range kinds {
		value, present := now.values[kind]
		switch {
		case present:
			values = append(values, value)
		case !now.unreadable[kind]:
			return nil, "", false
		case denied == "":
			denied = kind
		}
	}
	return values, denied, denied == ""
}

// hashes are what an identity record keeps of today's signals.
func (now observed) hashes(salt []byte) map[ports.SignalKind]string {
	hashes := make(map[ports.SignalKind]string, len(now.values))
	for kind, value := range now.values {
		hashes[kind] = hash(salt, kind, value)
	}
	return hashes
}

// compare tells which hardware signals differ from the record today, and which
// match it. A signal that was not recorded, or cannot be read today, does
// neither.
func (now observed) compare(record ports.Identity) (differ, match []ports.SignalKind) {
	for _, kind := range hardware {
		enrolled, recorded := record.Hashes[kind]
		value, present := now.values[kind]
		switch {
		case !recorded || !present:
		case enrolled == hash(record.Salt, kind, value):
			match = append(match, kind)
		default:
			differ = append(differ, kind)
		}
	}
	return differ, match
}

// hash is documented at ports.Identity.
func hash(salt []byte, kind ports.SignalKind, value string) string {
	text := append([]byte(nil), salt...)
	text = append(text, string(kind)+"\x00"+value...)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
