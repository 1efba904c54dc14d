package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/ports"
)

// configSetCommand is what an installer calls. It is given the settings on
// standard input, where no other process sees them.
func (p *program) configSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "set",
		Short:  "Writes lines of NAME=VALUE from standard input to the configuration file",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			_, guard := protection()
			return p.setConfig(guard)
		},
	}
}

// setConfig changes the configuration file, unless it would then be wrong. A
// line without a value changes nothing.
func (p *program) setConfig(guard ports.Guard) error {
	values, err := readAssignments(p.stdin)
	if err != nil {
		return err
	}
	path := p.configFile
	if path == "" {
		path = envconfig.DefaultFile(p.environ)
	}
	if err := p.configFolder(filepath.Dir(path), guard); err != nil {
		return err
	}
	before, err := readUnaltered(path, guard)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	after, err := envconfig.Assign(before, values)
	if err != nil || len(values) == 0 {
		return err
	}
	replacement := path + ".new"
	if err := writePrivate(replacement, after, guard); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	source := envconfig.Source{Environ: p.environ, File: replacement, CredentialStored: credentialStored}
	if _, err = p.read(source, guard); err == nil {
		err = os.Rename(replacement, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(replacement))
	}
	return nil
}

// configFolder sees to the directory of the configuration. The default one is
// the agent's own; one that a person named is left as it is.
func (p *program) configFolder(dir string, guard ports.Guard) error {
	if guard != nil && p.configFile == "" {
		return claimOrMake(guard, dir, p.warnOf)
	}
	return os.MkdirAll(dir, 0o755)
}

// readUnaltered reads a configuration that is to be kept; it is empty where
// there is none. What others wrote must not become an administrator's.
func readUnaltered(path string, guard ports.Guard) (string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // read only: nothing is lost
	if guard != nil {
		if err := guard.Unaltered(file); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
	}
	text, err := io.ReadAll(file)
	return string(text), err
}

// writePrivate writes a file that only administrators may read, from before
// its first byte. One of that name is an interrupted call's.
func writePrivate(path, text string, guard ports.Guard) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var file *os.File
	var err error
	if guard != nil {
		file, err = guard.Create(path)
	} else {
		file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// readAssignments reads lines of NAME=VALUE; those without a value are left
// out.
func readAssignments(r io.Reader) (values []envconfig.Assignment, err error) {
	const limit = 128 << 10 // bytes; an installer's settings are at most 96 KiB
	lines := bufio.NewScanner(io.LimitReader(r, limit))
	lines.Buffer(nil, limit)
	for lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimSuffix(lines.Text(), "\r"), "=")
		if !ok {
			return nil, errors.New(`a line has no "="; write NAME=VALUE`)
		}
		if value != "" {
			values = append(values, envconfig.Assignment{Name: name, Value: value})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	return values, nil
}
