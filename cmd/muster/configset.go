package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
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
	return envconfig.Set(path, guard, values, func(replacement string) error {
		_, err := p.read(p.source(replacement), guard)
		return err
	})
}

// configFolder sees to the directory of the configuration. The default one is
// the agent's own; one that a person named is left as it is.
func (p *program) configFolder(dir string, guard ports.Guard) error {
	if guard != nil && p.configFile == "" {
		return claimOrMake(guard, dir, p.warnOf)
	}
	return nil
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
