// Package envconfig reads the configuration: environment variables, a file of
// KEY=value lines, and flags. A flag wins over the environment, the
// environment over the file, and an empty value counts as not set.
//
// HTTPS_PROXY, HTTP_PROXY and NO_PROXY are read too. In the environment their
// lower-case names count as well, the upper-case one first where both are set,
// as in net/http; in the file only the upper-case ones do.
//
// Load judges the form of every value and reports all that is wrong at once.
// It reads only local files and makes no request.
package envconfig

import (
	"os"
	"sync"

	"github.com/muster-agent/muster/ports"
)

// Source is where a configuration is read from.
type Source struct {
	// Environ is the environment as os.Environ gives it.
	Environ []string
	// File is the configuration file that was asked for; it must exist. Empty
	// stands for the default one, which need not.
	File string
	// Flags holds what was given on the command line, by the variable that it
	// stands for ("MUSTER_STATE_DIR").
	Flags map[string]string
	// Delays are the defaults of MUSTER_TRANSIENT_MIN and its like. Each is at
	// least 10 ms; one of 0 has no default.
	Delays ports.DelayPolicy
	// CredentialStored reports whether stateDir holds a credential, sound or
	// not: if so, an absent enrollment key or key file is no error. Load calls
	// it at most once, and only where the answer matters. Nil means that it
	// holds none.
	CredentialStored func(stateDir string) bool
	// Unaltered fails for an open file that others than its owner and the
	// machine's administrators may write. If it is nil, the file's mode decides.
	// Windows needs one, since there the mode says nothing.
	Unaltered func(*os.File) error
}

// DefaultFile is the configuration file that is read where none was asked for.
func DefaultFile(environ []string) string { return defaultFile(environmentMap(environ)) }

// Config is a configuration without errors.
type Config struct {
	// Warnings are sentences for a person, without secrets.
	Warnings []string

	settings ports.Settings
	values   []Value
	keyPlace *KeyPlace
}

// Value is one variable as it is in force.
type Value struct {
	Name  string
	Value string // secrets are redacted, those in a proxy's URL too
	// From is FromEnvironment, FromFlag, FromDefault, FromCredentials, FromUnset
	// or "file " and a path.
	From string
}

// Where a value may come from, besides a file.
const (
	FromEnvironment = "environment"
	FromFlag        = "flag"
	FromDefault     = "default"
	FromCredentials = "credential directory" // systemd's $CREDENTIALS_DIRECTORY
	FromUnset       = "not set"
)

// Settings is the configuration as the rest of the program uses it.
func (c *Config) Settings() ports.Settings { return c.settings }

// Values lists every variable in the order of the documentation, the unset
// ones included.
func (c *Config) Values() []Value { return c.values }

// NothingConfigured reports that there is neither a server nor a manager to
// talk to, so that the program can say what to configure.
func (c *Config) NothingConfigured() bool {
	s := c.settings
	return s.ServerURL == nil && s.ManagerURL == nil && s.APIKey.Empty()
}

// Load reads and checks the configuration. Its error is an *Error.
func Load(src Source) (*Config, error) {
	l := newLoader()
	l.unaltered = src.Unaltered
	environment := environmentMap(src.Environ)
	l.readFile(src.File, environment)
	l.applyEnvironment(environment)
	l.applyFlags(src.Flags)

	l.refuseMisplacedKeys()
	l.setDefaults(environment)
	l.setDelays(src.Delays)
	stored := sync.OnceValue(func() bool {
		return src.CredentialStored != nil && src.CredentialStored(l.effective[stateDirVariable].text)
	})
	l.readSecrets(environment, stored)
	v, values := l.parse()
	l.check(v)
	l.checkSite(stored)

	if len(l.problems) > 0 {
		return nil, &Error{Problems: l.problems, Warnings: l.warnings}
	}
	return &Config{Warnings: l.warnings, settings: v.settings(l), values: values, keyPlace: l.place(environment)}, nil
}
