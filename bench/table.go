//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// samples are measurements of one thing.
type samples []float64

func (s *samples) add(value float64)        { *s = append(*s, value) }
func (s *samples) addMS(took time.Duration) { s.add(float64(took.Nanoseconds()) / 1e6) }
func (s samples) median() float64           { return s.quantile(0.5) }

// quantile interpolates between the two nearest samples; 0 without any.
func (s samples) quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// String is the median, with the spread where there is one.
func (s samples) String() string {
	switch len(s) {
	case 0:
		return "-"
	case 1:
		return fmt.Sprintf("%.2f", s[0])
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.median(), s.quantile(0.1), s.quantile(0.9))
}

// table prints rows of the floor, the agent, and the agent by the floor.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer, title string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)}
	fmt.Fprintf(t.w, "%s\tfloor\tmuster\tratio\n", title)
	return t
}

func (t table) row(label string, floor, muster samples) {
	ratio := "-"
	if f := floor.median(); f > 0 && len(muster) > 0 {
		ratio = fmt.Sprintf("%.2f", muster.median()/f)
	}
	fmt.Fprintf(t.w, "  %s\t%v\t%v\t%s\n", label, floor, muster, ratio)
}

func (t table) end() error {
	fmt.Fprintln(t.w)
	return t.w.Flush()
}
