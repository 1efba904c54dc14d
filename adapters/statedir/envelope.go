package statedir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// envelope is what every record lies in. Its own form never changes; Format is
// that of the payload.
type envelope struct {
	Format    int    `json:"format"` // from 1
	WrittenBy string `json:"written_by"`
	// SHA256 covers the format and the version too, each followed by a
	// newline, and then the payload's bytes as they stand in the file: a
	// flipped digit must not look like a newer version.
	SHA256  string          `json:"sha256"`
	Payload json.RawMessage `json:"payload"`
}

func (e envelope) sum() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s\n", e.Format, e.WrittenBy)
	h.Write(e.Payload)
	return hex.EncodeToString(h.Sum(nil))
}

// seal returns the file's content. The payload must be what json.Marshal
// returns, which stays as it is inside.
func seal(format int, version string, payload []byte) ([]byte, error) {
	// JSON brings only valid UTF-8 back as it was.
	e := envelope{Format: format, WrittenBy: strings.ToValidUTF8(version, "?"), Payload: payload}
	e.SHA256 = e.sum()
	data, err := json.Marshal(e)
	return append(data, '\n'), err
}

// unseal returns the envelope if it is sound, else a *damage.
func unseal(data []byte) (envelope, error) {
	if len(data) == 0 {
		return envelope{}, &damage{reason: "it is empty"}
	}
	var e envelope
	// The decoder's message is left out: it quotes what it read.
	if json.Unmarshal(data, &e) != nil {
		return envelope{}, &damage{reason: "it is cut short or no record at all"}
	}
	if e.Format < 1 || e.SHA256 != e.sum() {
		return envelope{}, &damage{reason: "its checksum is wrong"}
	}
	return e, nil
}
