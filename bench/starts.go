//go:build linux

package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// starts measures whole processes: doing nothing, a first enrollment, and the
// service until it is connected, the first time and again.
func (b *bench) starts(w io.Writer) error {
	var nothingWall, nothingCPU, wall, cpu, peak, first, again [2]samples
	floorParts := parts{took: map[string]*samples{}}
	for i := range b.runs {
		for turn := range b.programs {
			n := (i + turn) % 2 // who is first changes
			p := b.programs[n]

			c, _, err := b.measure(p.path, p.nothing, nil)
			if err != nil {
				return err
			}
			nothingWall[n].addMS(c.wall)
			nothingCPU[n].addMS(c.cpu)

			if c, _, err = b.measure(p.path, p.enroll, b.machine()); err != nil {
				return err
			}
			wall[n].addMS(c.wall)
			cpu[n].addMS(c.cpu)
			peak[n].add(c.peak)

			machine := b.machine()
			for _, took := range []*samples{&first[n], &again[n]} {
				s, err := b.start(p, machine)
				if err != nil {
					return err
				}
				took.addMS(s.took)
				if err := s.stop(); err != nil {
					return err
				}
			}
		}
		_, said, err := b.measure(b.floor, []string{"enroll", "-parts"}, b.machine())
		if err != nil {
			return err
		}
		if err := floorParts.add(said); err != nil {
			return err
		}
	}

	t := newTable(w, "a process that does nothing (muster version)")
	t.row("wall ms", nothingWall[0], nothingWall[1])
	t.row("CPU ms", nothingCPU[0], nothingCPU[1])
	if err := t.end(); err != nil {
		return err
	}
	t = newTable(w, "first enrollment, whole process (muster enroll)")
	t.row("wall ms", wall[0], wall[1])
	t.row("CPU ms", cpu[0], cpu[1])
	t.row("peak memory MiB", peak[0], peak[1])
	if err := t.end(); err != nil {
		return err
	}
	t = newTable(w, "process start to relay connected (muster run)")
	t.row("first start ms", first[0], first[1])
	t.row("restart ms", again[0], again[1])
	if err := t.end(); err != nil {
		return err
	}

	fmt.Fprintln(w, "The floor's enrollment by its parts, median ms:")
	fmt.Fprintf(w, "  %6.2f  process start and end\n", nothingWall[0].median())
	for _, name := range floorParts.order {
		fmt.Fprintf(w, "  %6.2f  %s\n", floorParts.took[name].median(), name)
	}
	fmt.Fprintf(w, "The agent's enrollment takes %+.2f ms more, %+.2f ms of it for a process that does nothing.\n\n",
		wall[1].median()-wall[0].median(), nothingWall[1].median()-nothingWall[0].median())
	return b.systemCalls(w, floorParts.took["two synced files"].median())
}

// parts are what the floor says of its own parts.
type parts struct {
	order []string
	took  map[string]*samples
}

// add reads lines of a name, a tab and nanoseconds.
func (p *parts) add(said string) error {
	for line := range strings.Lines(said) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), "\t")
		nanoseconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("the floor says %q where it should name a part and its nanoseconds", line)
		}
		if p.took[name] == nil {
			p.order = append(p.order, name)
			p.took[name] = &samples{}
		}
		p.took[name].add(nanoseconds / 1e6)
	}
	return nil
}
