package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tree is a copy of the source tree.
type tree struct {
	path string
	pact string // the folder of libpact_ffi, with which pact's tests are linked
}

// copyFrom copies what git knows of the tree at root, and what it would not
// ignore.
func (t tree) copyFrom(ctx context.Context, root string) error {
	// git would not look at a tree that belongs to another user.
	list := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir, list.Stderr = root, os.Stderr
	names, err := list.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		from, to := filepath.Join(root, name), filepath.Join(t.path, name)
		info, err := os.Lstat(from)
		if err != nil || !info.Mode().IsRegular() {
			continue // removed and not yet committed, or no source
		}
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, data, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

// try puts the mutant into the copy, runs its tests and takes it out again.
func (t tree) try(ctx context.Context, m mutant) verdict {
	path := filepath.Join(t.path, filepath.FromSlash(m.file))
	sound, err := os.ReadFile(path)
	if err != nil {
		return verdict{broken, err.Error()}
	}
	mutated, err := m.apply(string(sound))
	if err != nil {
		return verdict{broken, "the table is out of date: " + err.Error()}
	}
	const mode fs.FileMode = 0o644 // only where the file is not there
	if err := os.WriteFile(path, []byte(mutated), mode); err != nil {
		return verdict{broken, err.Error()}
	}
	v := t.test(ctx, m.suite)
	if err := os.WriteFile(path, sound, mode); err != nil {
		return verdict{broken, "it could not be taken out again: " + err.Error()}
	}
	return v
}
