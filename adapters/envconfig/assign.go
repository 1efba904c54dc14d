package envconfig

import (
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

// Assignment sets a name to a value, which is taken as it is.
type Assignment struct{ Name, Value string }

// Set sets names in the configuration file at path, which is made where it is
// missing, with its directory (mode 0755). The new one has mode 0600, or is the
// Guard's. It takes the old one's place once check, which is told where it lies
// until then, has nothing against it: else nothing has changed, and the error is
// check's. Without values nothing changes.
//
// Whatever the moment of a crash, the old or the new file is there, and the new
// one once Set has returned nil. With a Guard, a file that others could alter is
// an error: what they wrote must not become an administrator's.
func Set(path string, guard ports.Guard, values []Assignment, check func(path string) error) error {
	return set(&durable.Disk{Guard: guard}, path, values, check)
}

func set(disk *durable.Disk, path string, values []Assignment, check func(path string) error) error {
	if err := disk.MkdirAll(filepath.Dir(path), func(path string) error { return os.Mkdir(path, 0o755) }); err != nil {
		return err
	}
	var altered error
	before, err := readRegular(path, maxFile, func(file *os.File, _ fs.FileInfo) {
		if disk.Guard != nil {
			altered = disk.Guard.Unaltered(file)
		}
	})
	if altered != nil {
		err = fmt.Errorf("%s: %w", path, altered)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the configuration: %w", err)
	}
	after, err := assign(string(before), values)
	if err != nil || len(values) == 0 {
		return err
	}
	folder, err := disk.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	defer folder.Close()
	var wrong error
	err = folder.Replace(filepath.Base(path), durable.Content{
		Data: []byte(after), Ours: true, Old: before,
		Check: func(path string) error {
			wrong = check(path)
			return wrong
		},
	})
	if err != nil && wrong == nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return wrong
}

// assign returns the text of a configuration file with values set. Earlier
// assignments to the same names are dropped, and so are those to their twins (a
// secret, and the file that holds it); the rest stays as it is. An error repeats
// no value.
func assign(text string, values []Assignment) (string, error) {
	text = strings.ReplaceAll(strings.TrimPrefix(text, byteOrderMark), "\r\n", "\n")
	var kept strings.Builder
	from := 0 // where the text begins that is not yet kept
	s := scanner{rest: text, line: 1}
	for s.skipToName() {
		begin := len(text) - len(s.rest)
		name, ok := s.name()
		if !ok {
			continue // no assignment, of which Load complains
		}
		if _, closed := s.value(); !closed {
			break // the same
		}
		if !slices.ContainsFunc(values, func(v Assignment) bool { return sameSetting(v.Name, name) }) {
			continue
		}
		kept.WriteString(text[from:begin])
		if s.at(newlines) {
			s.take(1)
		}
		from = len(text) - len(s.rest)
	}
	kept.WriteString(text[from:])
	if kept.Len() > 0 && !strings.HasSuffix(kept.String(), "\n") {
		kept.WriteByte('\n')
	}
	for _, v := range values {
		if !validName(v.Name) {
			return "", fmt.Errorf("%q is no variable's name; names are of letters, digits and _", v.Name)
		}
		if strings.ContainsAny(v.Value, "'\n\r\x00") {
			return "", fmt.Errorf("%s: a value with a quote or of more than one line cannot be written; edit the configuration file by hand", v.Name)
		}
		fmt.Fprintf(&kept, "%s='%s'\n", v.Name, v.Value)
	}
	return kept.String(), nil
}

// sameSetting reports whether two names are of one setting, as those of a secret
// and of the file that holds it are.
func sameSetting(a, b string) bool {
	return strings.TrimSuffix(a, "_FILE") == strings.TrimSuffix(b, "_FILE")
}
