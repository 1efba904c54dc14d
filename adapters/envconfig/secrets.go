package envconfig

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	enrollmentKeyVariable = "MUSTER_ENROLLMENT_KEY"
	apiKeyVariable        = "MUSTER_API_KEY"
	fileSuffix            = "_FILE"
)

// maxSecret bounds a file that holds a secret, in bytes.
const maxSecret = 64 << 10

// isSecret reports whether the variable's whole value is a secret.
func isSecret(name string) bool { return name == enrollmentKeyVariable || name == apiKeyVariable }

// readSecrets reads the files that hold secrets. With a stored credential an
// absent or empty one counts as not set: it may have been removed after the
// enrollment.
func (l *loader) readSecrets(environment map[string]string, stored func() bool) {
	for _, name := range []string{enrollmentKeyVariable, apiKeyVariable} {
		twin := name + fileSuffix
		file, ok := l.effective[twin]
		switch {
		case !ok:
		case l.given(name):
			l.bad(twin, "%s (%s) is given too; remove one of the two", name, l.effective[name].origin())
		default:
			l.readSecret(name, file.text, stored)
		}
	}

	directory := environment["CREDENTIALS_DIRECTORY"]
	if directory != "" && !l.given(enrollmentKeyVariable) && !l.given(enrollmentKeyVariable+fileSuffix) {
		path := filepath.Join(directory, "enrollment_key")
		switch text, err := l.readSecretFile(path); {
		case absent(err):
		case errors.Is(err, fs.ErrPermission) && closed(directory):
			l.warnings = append(l.warnings, "$CREDENTIALS_DIRECTORY: this user may not look into "+quotePath(directory)+", so no enrollment key is read there."+
				" (systemd in a container cannot always hand credentials over.) Set "+enrollmentKeyVariable+fileSuffix+" if one is needed.")
		case err != nil:
			l.problem("$CREDENTIALS_DIRECTORY/enrollment_key", "the enrollment key cannot be used: %s", reason(err))
			l.refused[enrollmentKeyVariable] = true
		default:
			l.effective[enrollmentKeyVariable] = setting{text: text, from: FromCredentials}
			l.enrollmentKeyFile = path
		}
	}
}

// readSecret takes the value of the secret variable name from the file at
// path.
func (l *loader) readSecret(name, path string, stored func() bool) {
	twin := name + fileSuffix
	switch text, err := l.readSecretFile(path); {
	case absent(err) && stored():
		l.hidden[twin] = !filepath.IsAbs(path)
	case err != nil:
		l.refuse(twin, "%s cannot be used: %s", quotePath(path), reason(err))
		l.refused[name] = true
	default:
		l.effective[name] = setting{text: text, from: fileOrigin(path)}
		if name == enrollmentKeyVariable {
			l.enrollmentKeyFile = path
		}
	}
}

// closed reports whether this user may not look into a directory at all. Whether
// the directory holds a file is then unknown, unlike with a file that is there
// and may not be read.
func closed(directory string) bool {
	_, err := os.Stat(directory + string(filepath.Separator) + ".")
	return errors.Is(err, fs.ErrPermission)
}

// errEmpty says that a secret's file is empty, which counts as absent.
var errEmpty = errors.New("it is empty; put the key into it")

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errEmpty) }

// readSecretFile returns a file's content without the line end at its end.
func (l *loader) readSecretFile(path string) (string, error) {
	data, altered, err := l.readOwn(path, maxSecret)
	if err != nil {
		return "", err
	}
	if altered != nil {
		return "", altered
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return "", errEmpty
	}
	return text, nil
}
