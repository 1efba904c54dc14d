package wsrelay

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"

	"github.com/muster-agent/muster/ports"
)

// agentStatus is the frame from the agent to the relay.
type agentStatus struct {
	Type          string      `json:"type"`
	MachineUID    string      `json:"machine_uid"`
	Hostname      string      `json:"hostname"`
	Version       string      `json:"version"`
	UptimeSeconds int64       `json:"uptime_seconds"`
	Certificate   certificate `json:"certificate"`
}

type certificate struct {
	Status   string  `json:"status"`
	NotAfter *string `json:"not_after"` // RFC 3339, null if there is none
}

func encodeStatus(s ports.AgentStatus) []byte {
	frame := agentStatus{
		Type:          "agent_status",
		MachineUID:    s.MachineUID,
		Hostname:      s.Hostname,
		Version:       s.Version,
		UptimeSeconds: int64(s.Uptime / time.Second),
		Certificate:   certificate{Status: string(s.Certificate.Status)},
	}
	if t := s.Certificate.NotAfter; !t.IsZero() {
		text := t.UTC().Format(time.RFC3339)
		frame.Certificate.NotAfter = &text
	}
	data, err := json.Marshal(frame)
	if err != nil {
		panic("wsrelay: strings do not encode: " + err.Error()) // encoding/json encodes every string
	}
	return data
}

// maxType is far more than the name of a frame needs. A longer one, and one
// that is no name or may be a key, would end up in a log.
const maxType = 64

func decodeFrame(data []byte) ports.RelayFrame {
	var fields map[string]json.RawMessage
	var name string
	if json.Unmarshal(data, &fields) != nil || json.Unmarshal(fields["type"], &name) != nil ||
		len(name) > maxType || strings.ContainsFunc(name, notInName) || strings.Contains(name, "cak_") {
		return ports.RelayFrame{}
	}
	return ports.RelayFrame{Type: name}
}

func notInName(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.:/", r)
}
