package envconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// KeyPlace is where the enrollment key of a configuration lies at rest. It
// implements ports.EnrollmentKeyPlace.
type KeyPlace struct {
	keyFile    string // a file of its own; "" for none
	configFile string // the configuration file, where that holds it; "" if not
	fixed      string // where a person must remove it; "" if it can be removed
}

// EnrollmentKeyPlace is where the enrollment key lies; nil if none was found.
func (c *Config) EnrollmentKeyPlace() *KeyPlace { return c.keyPlace }

// place is the place of the key that is in force, and of one in the
// configuration file that is not.
func (l *loader) place(environment map[string]string) *KeyPlace {
	p := &KeyPlace{keyFile: l.enrollmentKeyFile, configFile: l.keyInFile}
	switch directory := environment["CREDENTIALS_DIRECTORY"]; {
	case environment[enrollmentKeyVariable] != "":
		p.fixed = "it stands in the environment variable " + enrollmentKeyVariable + ": remove it where the environment of the service is set"
	case directory != "" && filepath.Dir(p.keyFile) == filepath.Clean(directory):
		p.fixed = "the service manager hands it out anew at each start: remove it where LoadCredential= of the service finds it (for systemd /etc/credstore/enrollment_key)"
	case p.keyFile == "" && p.configFile == "":
		return nil
	}
	return p
}

// Forget implements ports.EnrollmentKeyPlace. A file of the key's own that may
// be written and not removed is emptied, which counts as an absent one. The
// configuration file is replaced by one without the lines of the key, which
// has the same owner and mode.
func (p *KeyPlace) Forget(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.fixed != "" {
		return fmt.Errorf("%w: %s", ports.ErrNotRemovable, p.fixed)
	}
	if p.configFile != "" {
		if err := removeLines(new(durable.Disk), p.configFile); err != nil {
			return notRemovable(err, "remove the line of %s from %s", enrollmentKeyVariable, p.configFile)
		}
	}
	if p.keyFile != "" {
		if err := removeKeyFile(p.keyFile); err != nil {
			return notRemovable(err, "remove the file %s", p.keyFile)
		}
	}
	return nil
}

func notRemovable(err error, advice string, args ...any) error {
	return fmt.Errorf("%w: %w: %s", ports.ErrNotRemovable, durable.Cause(err), fmt.Sprintf(advice, args...))
}

// removeKeyFile empties the file and removes it, with the link that leads to
// it if path is one.
func removeKeyFile(path string) error {
	file, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	emptyErr := empty(file)
	removeErr := os.Remove(file)
	switch {
	case removeErr != nil && emptyErr != nil:
		return removeErr
	case removeErr != nil:
		return nil
	}
	if file != path {
		_ = os.Remove(path) // a link to nothing, which counts as an absent file
	}
	return new(durable.Disk).SyncDir(filepath.Dir(file))
}

// empty cuts a file to nothing, durably.
func empty(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|openFlags, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// removeLines replaces the configuration file at path by one without the lines
// that assign the enrollment key. What a crash left beside it holds no key.
func removeLines(disk *durable.Disk, path string) (err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	data, err := readRegular(path, maxFile, nil)
	if err != nil {
		return err
	}
	text, err := withoutKey(string(data))
	if err != nil || text == string(data) {
		return err
	}
	folder, err := disk.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	name := filepath.Base(path)
	err = folder.Stage(name, durable.Content{Data: []byte(text), Like: true})
	if err == nil {
		err = folder.Take(name)
	}
	if err != nil {
		folder.Discard(name)
		return err
	}
	return folder.Sync() // not undone: that would write the key anew
}

// withoutKey is a configuration file's text without the lines that assign the
// enrollment key. All else that it says stays as it is.
func withoutKey(text string) (string, error) {
	before, _ := parseEnvironmentFile(text) // its faults are judged below, in what is left
	lines := strings.SplitAfter(text, "\n")
	for _, a := range slices.Backward(before) {
		if a.name == enrollmentKeyVariable {
			lines = slices.Delete(lines, a.line-1, min(a.last, len(lines)))
		}
	}
	rest := strings.Join(lines, "")
	after, faults := parseEnvironmentFile(rest)
	same := func(a, b assignment) bool { return a.name == b.name && a.value == b.value }
	before = slices.DeleteFunc(before, func(a assignment) bool { return a.name == enrollmentKeyVariable })
	if len(faults) > 0 || !slices.EqualFunc(before, after, same) {
		return "", errors.New("the line cannot be told from its neighbours")
	}
	return rest, nil
}
