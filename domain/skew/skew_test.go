package skew

import (
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestOf(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		date time.Time
		want time.Duration
	}{
		"the same second":             {now, time.Second},
		"the second before":           {now.Add(-time.Second), -time.Second},
		"an hour ahead":               {now.Add(time.Hour), time.Hour + time.Second},
		"an hour behind, by half one": {now.Add(-time.Hour - 500*time.Millisecond), -time.Hour},
	} {
		t.Run(name, func(t *testing.T) { is.New(t).Equal(Of(tt.date, now), tt.want) })
	}
}

func TestTooMuch(t *testing.T) {
	is := is.New(t)
	for _, sign := range []time.Duration{1, -1} {
		is.True(!TooMuch(sign * Limit))                // the limit itself is allowed
		is.True(TooMuch(sign * (Limit + time.Second))) // beyond it, in either direction
	}
}
