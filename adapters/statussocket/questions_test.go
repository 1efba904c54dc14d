package statussocket

import (
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// TestRenewalOnTheWire fixes the numbers of the ends, which an agent and a
// caller of different versions tell each other.
func TestRenewalOnTheWire(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for line, want := range map[string]ports.RenewResult{
		`{"code":0,"line":"valid"}` + "\n":            {End: ports.RenewDone, Line: "valid"},
		`{"code":1,"line":"no \"answer\""}` + "\n":    {End: ports.RenewFailed, Line: `no "answer"`},
		`{"code":2,"line":"must be approved"}` + "\n": {End: ports.RenewPending, Line: "must be approved"},
	} {
		is.Equal(string(encodeRenewal(want)), line)
		got, err := decodeRenewal([]byte(line))
		is.NoErr(err)
		is.Equal(got, want)
	}
	for _, line := range []string{`{"code":3,"line":"new"}`, `{"code":-1}`, `{"code":"0"}`, `nonsense`, ``} {
		_, err := decodeRenewal([]byte(line))
		is.True(err != nil) // no end that this version knows
	}
}
