package cert_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/cert"
)

var (
	issued     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	noJitter   = [32]byte{}
	mostJitter = [32]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

func TestRenewAt(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, c := range []struct {
		lifetime, threshold, want time.Duration
	}{
		{90 * day, 7 * day, 60 * day},
		{90 * day, 0, 60 * day},
		{90 * day, 30 * day, 60 * day}, // just a third: the two agree
		{90 * day, 31 * day, 60 * day}, // ignored
		{6 * day, 7 * day, 4 * day},
		{3 * time.Second, 7 * day, 2 * time.Second},
		{0, 7 * day, 0},
		{-day, 7 * day, -day},
	} {
		got := cert.RenewAt(issued, issued.Add(c.lifetime), noJitter, c.threshold).Sub(issued)
		if got != c.want {
			t.Errorf("lifetime %v, threshold %v: renewed after %v, want %v", c.lifetime, c.threshold, got, c.want)
		}
		early := c.want - cert.RenewAt(issued, issued.Add(c.lifetime), mostJitter, c.threshold).Sub(issued)
		if tenth := max(c.lifetime, 0) / 10; early > tenth || early < tenth-time.Millisecond {
			t.Errorf("lifetime %v: the jitter moves by up to %v, want %v", c.lifetime, early, tenth)
		}
	}
	// GeneralizedTime ends in the year 9999.
	far := cert.RenewAt(issued, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), noJitter, 7*day)
	is.New(t).True(far.After(issued.AddDate(190, 0, 0)))
}

// 10,000 hosts enrolled in the same minute, over five generations: no hundredth
// of the lifetime, wherever it begins, has more than twice the renewals that
// the jitter's spread gives on average, and the spread widens.
func TestAFleetDoesNotRenewAtOnce(t *testing.T) {
	t.Parallel()
	const (
		hosts     = 10_000
		lifetime  = 90 * 24 * time.Hour
		window    = lifetime / 100
		inSpread  = 10 // windows in the jitter's spread, a tenth of the lifetime
		mostAtOne = 2 * hosts / inSpread
	)
	start := make([]time.Time, hosts)
	for i := range start {
		start[i] = issued.Add(time.Duration(i) * time.Minute / hosts)
	}
	last := 0.0
	for generation := range 5 {
		at := make([]time.Time, hosts)
		for i := range at {
			fingerprint := sha256.Sum256(fmt.Appendf(nil, "certificate %d of host %d", generation, i))
			at[i] = cert.RenewAt(start[i], start[i].Add(lifetime), fingerprint, 7*24*time.Hour)
		}
		start = slices.Clone(at)
		slices.SortFunc(at, time.Time.Compare)
		first := 0
		for i := range at {
			for at[i].Sub(at[first]) >= window {
				first++
			}
			if n := i - first + 1; n > mostAtOne {
				t.Fatalf("generation %d: %d renewals within %v of %v, want at most %d", generation, n, window, at[first], mostAtOne)
			}
		}
		spread := deviation(at)
		t.Logf("generation %d: from %v to %v, standard deviation %.4f lifetimes", generation, at[0], at[hosts-1], spread/float64(lifetime))
		if spread < last*1.05 {
			t.Fatalf("generation %d: the spread went from %v to %v", generation, time.Duration(last), time.Duration(spread))
		}
		last = spread
	}
}

// deviation is the standard deviation, in nanoseconds.
func deviation(at []time.Time) float64 {
	var mean, squares float64
	for _, t := range at {
		mean += float64(t.Sub(at[0])) / float64(len(at))
	}
	for _, t := range at {
		squares += math.Pow(float64(t.Sub(at[0]))-mean, 2) / float64(len(at))
	}
	return math.Sqrt(squares)
}
