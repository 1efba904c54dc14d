package retry

import (
	"fmt"
	"math"
	"net/url"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

var classes = []ports.DelayClass{ports.Transient, ports.Pending, ports.Operator}

const almostOne = 1 - 1e-9

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestWaitFollowsTheTable(t *testing.T) {
	p := Shipped()
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
			least, most := 0.8*float64(d.Min), 1.2*float64(d.Max)
			if class == ports.Transient {
				least, most = 0.2*float64(d.Min), float64(d.Max)
			}
			if float64(wait) < least-1 || float64(wait) > most+1 {
				t.Fatalf("%s: a wait of %v, with a first delay of %v and a ceiling of %v", class, wait, d.Min, d.Max)
			}
		}
	})
}

func TestParseRetryAfter(t *testing.T) {
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
		if d := ParseRetryAfter(header, time.Unix(1_700_000_000, 0)); d < 0 || d > retryAfterCap {
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

func TestNotBefore(t *testing.T) {
	p := Shipped()
	for name, test := range map[string]struct {
		entry ports.RetryEntry
		asker Asker
		want  time.Duration
	}{
		"nothing remembered":                {ports.RetryEntry{}, Start, 0},
		"an attempt long ago":               {ports.RetryEntry{LastAttempt: now.Add(-time.Minute)}, Start, 0},
		"an attempt 3 s ago":                {ports.RetryEntry{LastAttempt: now.Add(-3 * time.Second)}, Start, 7 * time.Second},
		"an attempt 3 s ago, a person":      {ports.RetryEntry{LastAttempt: now.Add(-3 * time.Second)}, Person, 0},
		"an attempt 3 s ago, not held back": {ports.RetryEntry{LastAttempt: now.Add(-3 * time.Second)}, Reconnect, 0},
		"an attempt in the future":          {ports.RetryEntry{LastAttempt: now.AddDate(70, 0, 0)}, Start, 10 * time.Second},
		"a Retry-After":                     {ports.RetryEntry{LastAttempt: now, NotBefore: now.Add(time.Minute)}, Start, time.Minute},
		"a Retry-After, a person":           {ports.RetryEntry{LastAttempt: now, NotBefore: now.Add(time.Minute)}, Person, time.Minute},
		"a Retry-After, a reconnection":     {ports.RetryEntry{NotBefore: now.Add(time.Minute)}, Reconnect, time.Minute},
		"a Retry-After that is over":        {ports.RetryEntry{LastAttempt: now.Add(-time.Hour), NotBefore: now.Add(-time.Second)}, Start, 0},
		"a Retry-After of a clock in 2099":  {ports.RetryEntry{NotBefore: now.AddDate(73, 0, 0)}, Start, retryAfterMost},
	} {
		t.Run(name, func(t *testing.T) {
			is.New(t).Equal(NotBefore(test.entry, p, test.asker, now), test.want)
		})
	}
}

// An attempt that was noted before it was made counts once, under the class of
// its outcome; one that was not noted counts all the same.
func TestBeginAndFail(t *testing.T) {
	is := is.New(t)
	p := Shipped()
	fresh := ports.RetryEntry{Target: "t"}
	begun := Begin(fresh, now)
	is.Equal(begun.Attempts, map[ports.DelayClass]int{ports.Transient: 1})
	is.Equal(begun.LastAttempt, now)
	is.Equal(len(fresh.Attempts), 0) // the entry that was given is left alone

	later := now.Add(time.Second)
	failed, pause := Fail(begun, Failure{Class: ports.Operator, State: "rejected", Text: "no"}, p, true, later, 0.5, 0)
	is.Equal(failed.Attempts, map[ports.DelayClass]int{ports.Transient: 0, ports.Operator: 1})
	is.Equal(pause, Pause{15 * time.Minute, ports.Operator, 1})
	is.Equal(failed.Next, later.Add(15*time.Minute))
	is.Equal(failed.LastAttempt, later) // the next one is counted from its end
	is.Equal(failed.Since, later)
	is.Equal([]string{string(failed.Class), failed.State, failed.LastError}, []string{"operator", "rejected", "no"})
	is.True(failed.NotBefore.IsZero()) // nobody asked for a wait
	is.Equal(Resumed(failed, time.Minute), Pause{time.Minute, ports.Operator, 1})

	again, pause := Fail(Begin(failed, later), Failure{Class: ports.Operator}, p, true, later, 0.5, 0)
	is.Equal(again.Attempts[ports.Operator], 2)
	is.Equal(pause.Wait, 30*time.Minute)
	is.Equal(again.Since, later)
	unnoted, pause := Fail(again, Failure{Class: ports.Transient, RetryAfter: time.Minute, Refusal: &ports.Refusal{Count: 3}}, p, false, later, 0.5, 0)
	is.Equal(unnoted.Attempts[ports.Transient], 1)
	is.Equal(pause.Wait, time.Minute)
	is.Equal(unnoted.NotBefore, later.Add(time.Minute))
	is.Equal(unnoted.Refusal.Count, 3)
	kept, _ := Fail(unnoted, Failure{Class: ports.Transient}, p, false, later, 0, 0)
	is.Equal(kept.Refusal.Count, 3)  // a failure that is no refusal does not touch it
	is.True(kept.NotBefore.IsZero()) // nor does an old wish hold
}

func TestPollWait(t *testing.T) {
	is := is.New(t)
	is.Equal(PollWait(time.Minute, 0), 54*time.Second)
	is.Equal(PollWait(time.Minute, 0.5), time.Minute)
	is.Equal(PollWait(time.Minute, almostOne).Round(time.Millisecond), 66*time.Second)
}

func TestCRLWait(t *testing.T) {
	for name, tt := range map[string]struct {
		next time.Time
		u    float64
		want time.Duration
	}{
		"no nextUpdate":            {time.Time{}, 0, 24 * time.Hour},
		"moved earlier":            {time.Time{}, 0.5, 22*time.Hour + 48*time.Minute},
		"a nextUpdate far ahead":   {now.Add(48 * time.Hour), 0, 24 * time.Hour},
		"a nextUpdate before that": {now.Add(time.Hour), 0, time.Hour},
		"a nextUpdate in the past": {now.Add(-time.Hour), 0, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) { is.New(t).Equal(CRLWait(Shipped(), tt.next, now, tt.u), tt.want) })
	}
	is := is.New(t)
	is.Equal(CRLResume(now.Add(time.Hour), now), time.Hour)
	is.Equal(CRLResume(time.Time{}, now), time.Duration(0))
	is.Equal(CRLResume(now.AddDate(70, 0, 0), now), 24*time.Hour) // planned by a clock that was ahead
}

func TestMayObey(t *testing.T) {
	is := is.New(t)
	is.True(MayObey(time.Time{}, now))              // never before
	is.True(!MayObey(now, now))                     // just now
	is.True(!MayObey(now.Add(1-time.Hour), now))    // within the hour
	is.True(MayObey(now.Add(-time.Hour), now))      // an hour ago
	is.True(MayObey(now.Add(time.Nanosecond), now)) // in the future: by another clock
}

func TestTargets(t *testing.T) {
	is := is.New(t)
	s := ports.Settings{
		ServerURL: &url.URL{Scheme: "https", Host: "a.example"}, SiteCode: "HQ", EnrollmentKey: ports.NewSecret("cek_1"),
		ManagerURL: &url.URL{Scheme: "https", Host: "m.example"},
	}
	changed := func(change func(*ports.Settings)) ports.Settings {
		other := s
		change(&other)
		return other
	}
	is.True(SiteTarget(s) != SiteTarget(changed(func(s *ports.Settings) { s.SiteCode = "LAB" })))
	is.True(SiteTarget(s) != SiteTarget(changed(func(s *ports.Settings) { s.EnrollmentKey = ports.NewSecret("cek_2") })))
	is.True(SiteTarget(s) != SiteTarget(changed(func(s *ports.Settings) { s.ServerURL = &url.URL{Scheme: "https", Host: "b.example"} })))
	is.Equal(IssuerTarget(s), IssuerTarget(changed(func(s *ports.Settings) { s.ManagerURL = &url.URL{Scheme: "https", Host: "m.example", Path: "/api/v1/"} })))
	is.True(RelayTarget(s, ports.NewSecret("cak_1")) != RelayTarget(s, ports.NewSecret("cak_2")))
	is.Equal(CertificateTarget(nil), "")
	is.Equal(SiteTarget(s), "a1d99a7e191a70a8") // version 1's: it is on disk
}
