package backoff

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

var classes = []ports.DelayClass{ports.Transient, ports.Pending, ports.Operator}

const almostOne = 1 - 1e-9

func TestWaitFollowsTheTable(t *testing.T) {
	p := Defaults()
	for _, test := range []struct {
		class    ports.DelayClass
		attempt  int
		least    time.Duration
		greatest time.Duration
	}{
		{ports.Transient, 1, time.Second, 5 * time.Second},
		{ports.Transient, 2, time.Second, 10 * time.Second},
		{ports.Transient, 3, time.Second, 20 * time.Second},
		{ports.Transient, 7, time.Second, 5 * time.Minute},
		{ports.Transient, 1000, time.Second, 5 * time.Minute},
		{ports.Pending, 1, 48 * time.Second, 72 * time.Second},
		{ports.Pending, 2, 72 * time.Second, 108 * time.Second},
		{ports.Pending, 100, 8 * time.Minute, 12 * time.Minute},
		{ports.Operator, 1, 12 * time.Minute, 18 * time.Minute},
		{ports.Operator, 2, 24 * time.Minute, 36 * time.Minute},
		{ports.Operator, 100, 288 * time.Minute, 432 * time.Minute},
		{ports.Operator, 0, 12 * time.Minute, 18 * time.Minute},
		{ports.Operator, -5, 12 * time.Minute, 18 * time.Minute},
	} {
		t.Run(fmt.Sprintf("%s/%d", test.class, test.attempt), func(t *testing.T) {
			is := is.New(t)
			is.Equal(Wait(p, test.class, test.attempt, 0).Round(time.Millisecond), test.least)
			is.Equal(Wait(p, test.class, test.attempt, almostOne).Round(time.Millisecond), test.greatest)
		})
	}
}

func FuzzWaitStaysWithinItsBounds(f *testing.F) {
	f.Add(int64(5*time.Second), int64(5*time.Minute), 1, 0.5)
	f.Add(int64(10*time.Millisecond), int64(10*time.Millisecond), math.MaxInt, 0.999)
	f.Add(int64(time.Hour), int64(math.MaxInt64/2), 64, 0.0)
	f.Fuzz(func(t *testing.T, least, span int64, attempt int, u float64) {
		d := ports.Delays{Min: time.Duration(max(least, int64(10*time.Millisecond)))}
		if d.Min > 1000*time.Hour || math.IsNaN(u) {
			return // configuration does not allow it
		}
		d.Max = d.Min + time.Duration(min(max(span, 0), int64(1000*time.Hour)))
		p := ports.DelayPolicy{Transient: d, Pending: d, Operator: d}
		for _, class := range classes {
			wait := Wait(p, class, attempt, u)
			if wait < 0 || wait > Ceiling(p, class) {
				t.Fatalf("%s: a wait of %v, with a ceiling of %v", class, wait, Ceiling(p, class))
			}
			least := 0.2 * float64(d.Min)
			if class != ports.Transient {
				least = 0.8 * float64(d.Min)
			}
			if float64(wait) < least-1 {
				t.Fatalf("%s: a wait of %v, with a first delay of %v", class, wait, d.Min)
			}
		}
	})
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"-5":                             0,
		"1.5":                            0,
		"soon":                           0,
		"2":                              2 * time.Second,
		" 2 ":                            2 * time.Second,
		"3600":                           time.Hour,
		"3601":                           time.Hour,
		"99999999999999999999999":        time.Hour,
		"Sun, 01 Mar 2026 12:00:30 GMT":  30 * time.Second,
		"Sun, 01 Mar 2026 11:59:59 GMT":  0,
		"Mon, 02 Mar 2026 12:00:00 GMT":  time.Hour,
		"Sunday, 01-Mar-26 12:01:00 GMT": time.Minute,
		"Sun Mar  1 12:01:00 2026":       time.Minute,
		"2 seconds":                      0,
		"１２":                             0,
	} {
		t.Run(header, func(t *testing.T) {
			is.New(t).Equal(ParseRetryAfter(header, now), want)
		})
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"", "2", "-1", "Sun, 01 Mar 2026 12:00:30 GMT", "999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if d := ParseRetryAfter(header, time.Unix(1_700_000_000, 0)); d < 0 || d > RetryAfterCap {
			t.Fatalf("%q gives %v", header, d)
		}
	})
}

func TestAfterNeverUndercutsWhatWasAsked(t *testing.T) {
	is := is.New(t)
	is.Equal(After(5*time.Second, 0, 0.5), 5*time.Second)
	is.Equal(After(time.Second, 2*time.Second, 0), 2*time.Second)
	is.Equal(After(time.Second, 2*time.Second, almostOne).Round(time.Millisecond), 3200*time.Millisecond)
	is.Equal(After(time.Minute, 2*time.Second, 0), time.Minute)
	is.Equal(After(0, 10*time.Hour, 0), time.Hour) // capped
}

func TestResume(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := Defaults()
	for name, test := range map[string]struct {
		entry            ports.RetryEntry
		heldBack, person bool
		want             time.Duration
	}{
		"nothing remembered":                 {ports.RetryEntry{}, true, false, 0},
		"an attempt long ago":                {ports.RetryEntry{LastAttempt: now.Add(-time.Minute)}, true, false, 0},
		"an attempt 3 s ago":                 {ports.RetryEntry{LastAttempt: now.Add(-3 * time.Second)}, true, false, 7 * time.Second},
		"an attempt 3 s ago, a person":       {ports.RetryEntry{LastAttempt: now.Add(-3 * time.Second)}, true, true, 0},
		"an attempt 3 s ago, not held back":  {ports.RetryEntry{LastAttempt: now.Add(-3 * time.Second)}, false, false, 0},
		"an attempt in the future":           {ports.RetryEntry{LastAttempt: now.AddDate(70, 0, 0)}, true, false, 10 * time.Second},
		"a Retry-After":                      {ports.RetryEntry{LastAttempt: now, NotBefore: now.Add(time.Minute)}, true, false, time.Minute},
		"a Retry-After, a person":            {ports.RetryEntry{LastAttempt: now, NotBefore: now.Add(time.Minute)}, true, true, time.Minute},
		"a Retry-After that is over":         {ports.RetryEntry{LastAttempt: now.Add(-time.Hour), NotBefore: now.Add(-time.Second)}, true, false, 0},
		"a Retry-After of a clock in 2099":   {ports.RetryEntry{NotBefore: now.AddDate(73, 0, 0)}, true, false, retryAfterMost},
		"a Retry-After for what is not held": {ports.RetryEntry{NotBefore: now.Add(time.Minute)}, false, false, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			is.New(t).Equal(Resume(p, test.entry, test.heldBack, test.person, now), test.want)
		})
	}
}
