package wsrelay

import (
	"encoding/json"
	"time"

	"github.com/muster-agent/muster/adapters/internal/redact"
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

func decodeFrame(data []byte) ports.RelayFrame {
	var fields map[string]json.RawMessage
	var name string
	if json.Unmarshal(data, &fields) != nil || json.Unmarshal(fields["type"], &name) != nil {
		return ports.RelayFrame{}
	}
	return ports.RelayFrame{Type: redact.Name(name)}
}
