package keyrefusal

import (
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// seen is one refusal: when (after start), with which code, and whether the
// clocks differed.
type seen struct {
	at     time.Duration
	code   string
	skewed bool
}

func TestDecide(t *testing.T) {
	const unknown, revoked = ports.RefusedUnknownAgent, ports.RefusedCredentialRevoked
	day := 24 * time.Hour
	for name, test := range map[string]struct {
		reenrollAfter time.Duration
		refusals      []seen
		want          Verdict
	}{
		"never refused":                    {day, nil, Retry},
		"once without a code":              {day, []seen{{0, "", false}}, Retry},
		"10 h without a code":              {day, []seen{{0, "", false}, {10 * time.Hour, "", false}}, Retry},
		"24 h exactly":                     {day, []seen{{0, "", false}, {day, "", false}}, Retry},
		"longer than 24 h":                 {day, []seen{{0, "", false}, {day + time.Second, "", false}}, RetryAndTryEnrolling},
		"longer than 24 h, switched off":   {0, []seen{{0, "", false}, {1000 * day, "", false}}, Retry},
		"unknown twice":                    {day, []seen{{0, unknown, false}, {time.Hour, unknown, false}}, Retry},
		"unknown 3 times in 4:59":          {day, []seen{{0, unknown, false}, {1, unknown, false}, {5*time.Minute - 1, unknown, false}}, Retry},
		"unknown 3 times in 5:00":          {day, []seen{{0, unknown, false}, {1, unknown, false}, {5 * time.Minute, unknown, false}}, EnrollAgain},
		"unknown, interrupted by no code":  {day, []seen{{0, unknown, false}, {1, unknown, false}, {time.Minute, "", false}, {5 * time.Minute, unknown, false}}, Retry},
		"revoked twice":                    {day, []seen{{0, revoked, false}, {time.Hour, revoked, false}}, Retry},
		"revoked 3 times in 5:00":          {day, []seen{{0, revoked, false}, {1, revoked, false}, {5 * time.Minute, revoked, false}}, Revoked},
		"revoked for longer than 24 h":     {day, []seen{{0, revoked, false}, {time.Hour, revoked, false}, {2 * day, revoked, false}}, Revoked},
		"revoked, then unknown":            {day, []seen{{0, revoked, false}, {1, revoked, false}, {5 * time.Minute, revoked, false}, {6 * time.Minute, unknown, false}}, Retry},
		"unknown 3 times with skew":        {day, []seen{{0, unknown, true}, {1, unknown, true}, {5 * time.Minute, unknown, true}}, Retry},
		"longer than 24 h with skew":       {day, []seen{{0, "", true}, {2 * day, "", true}}, Retry},
		"skew does not hide what was seen": {day, []seen{{0, "", false}, {1, "", true}, {2 * day, "", false}}, RetryAndTryEnrolling},
		"a clock set back":                 {day, []seen{{10 * day, "", false}, {0, "", false}, {time.Minute, "", false}}, Retry},
	} {
		t.Run(name, func(t *testing.T) {
			var r ports.Refusal
			now := start
			for _, s := range test.refusals {
				now = start.Add(s.at)
				r = Count(r, s.code, s.skewed, now)
			}
			is.New(t).Equal(Decide(r, test.reenrollAfter, false, "", now).Verdict, test.want)
		})
	}
}

// What a person is told, and how patiently the key is tried.
func TestAdvice(t *testing.T) {
	const unknown, revoked = ports.RefusedUnknownAgent, ports.RefusedCredentialRevoked
	times := func(code string) ports.Refusal {
		return ports.Refusal{Since: start, Code: code, Count: 3, CodeSince: start}
	}
	later := start.Add(48 * time.Hour)
	for name, tt := range map[string]struct {
		refusal ports.Refusal
		skewed  bool
		missing string
		class   ports.DelayClass
		advice  string
	}{
		"retry":                     {ports.Refusal{}, false, "", ports.Transient, "the key is kept and tried again"},
		"retry, by a wrong clock":   {ports.Refusal{}, true, "set X", ports.Transient, "this machine's clock and the server's differ, so this counts for nothing; the key is kept and tried again"},
		"refused for long":          {times(""), false, "", ports.Transient, "enrollment is tried beside it"},
		"refused for long, keyless": {times(""), false, "set X", ports.Transient, "a new one cannot be asked for: set X"},
		"unknown":                   {times(unknown), false, "", ports.Transient, "the server does not know this machine: enrolling again"},
		"unknown, keyless":          {times(unknown), false, "set X", ports.Transient, "the key is kept and tried again; a new one cannot be asked for: set X"},
		"revoked, keyless or not":   {times(revoked), false, "set X", ports.Operator, "run 'muster enroll --force'"},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			next := Decide(tt.refusal, 24*time.Hour, tt.skewed, tt.missing, later)
			is.Equal(next.Class, tt.class)
			is.True(strings.Contains(next.Advice, tt.advice)) // the advice says so
		})
	}
}

func TestBlocks(t *testing.T) {
	is := is.New(t)
	is.True(!Blocks(time.Time{}, start))
	is.True(!Blocks(start, start.Add(15*time.Minute)))
	is.True(Blocks(start, start.Add(15*time.Minute+time.Second)))
}
