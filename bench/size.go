//go:build linux

package main

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

const module = "github.com/muster-agent/muster"

// sizes says how large the shipped binaries are and whose code the agent is.
func (b *bench) sizes(w io.Writer) error {
	var size [2]samples
	for n, p := range b.programs {
		info, err := os.Stat(p.path)
		if err != nil {
			return fmt.Errorf("look at %s: %w", p.name, err)
		}
		size[n].add(float64(info.Size()) / 1e6)
	}
	t := newTable(w, "stripped binary")
	t.row("MB", size[0], size[1])
	if err := t.end(); err != nil {
		return err
	}
	if b.symbols == "" {
		return nil
	}
	owners, err := sizeByOwner(b.symbols)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "The agent's code and data by who wrote it, kB (the tables of the runtime grow with the code):")
	bySize := func(a, b string) int { return cmp.Compare(owners[b], owners[a]) }
	rest := uint64(0)
	for i, owner := range slices.SortedFunc(maps.Keys(owners), bySize) {
		// Every module of another's is named: each has to be worth it.
		if i < 20 || strings.Contains(owner, ".") {
			fmt.Fprintf(w, "  %6d  %s\n", owners[owner]/1000, owner)
		} else {
			rest += owners[owner]
		}
	}
	fmt.Fprintf(w, "  %6d  others\n", rest/1000)
	return nil
}

// sizeByOwner sums the symbols of a binary by the folder or module they are
// of.
func sizeByOwner(name string) (owners map[string]uint64, err error) {
	file, err := elf.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open the agent with its symbols: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	symbols, err := file.Symbols()
	if err != nil {
		return nil, fmt.Errorf("read the symbols of %s: %w", name, err)
	}
	owners = map[string]uint64{}
	if table := file.Section(".gopclntab"); table != nil {
		owners["(tables: line numbers, stack maps)"] = table.Size
	}
	for _, symbol := range symbols {
		if symbol.Name == "runtime.pclntab" || int(symbol.Section) >= len(file.Sections) || file.Sections[symbol.Section].Type == elf.SHT_NOBITS {
			continue // counted, or nothing in the file
		}
		owners[ownerOf(symbol.Name)] += symbol.Size
	}
	return owners, nil
}

// ownerOf names whose a symbol is: a folder of this module, another's module,
// or a part of the standard library.
func ownerOf(symbol string) string {
	if strings.HasPrefix(symbol, "type:") || strings.HasPrefix(symbol, "go:") {
		return "(types, interface tables, strings)"
	}
	name, _, _ := strings.Cut(symbol, "[") // type arguments
	slash := strings.LastIndex(name, "/") + 1
	dot := strings.Index(name[slash:], ".")
	if dot < 0 {
		return "(no package)"
	}
	path := strings.ReplaceAll(name[:slash+dot], "%2e", ".")
	switch parts := strings.Split(path, "/"); {
	case path == "main":
		return "muster: cmd/muster"
	case strings.HasPrefix(path, module+"/"):
		return "muster: " + strings.TrimPrefix(path, module+"/")
	case strings.Contains(parts[0], "."):
		return strings.Join(parts[:min(3, len(parts))], "/")
	case strings.HasPrefix(path, "net/http"):
		return "net/http"
	default:
		return parts[0]
	}
}
