package envconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muster-agent/muster/ports"
)

const (
	prefix           = "MUSTER_"
	devPrefix        = "MUSTER_DEV_INSECURE_"
	stateDirVariable = "MUSTER_STATE_DIR"
)

// maxFile bounds the configuration file, in bytes.
const maxFile = 1 << 20

// setting is a variable's text and where it was found.
type setting struct {
	text string
	from string // as Value.From
	line int    // in the configuration file; 0 elsewhere
}

func (s setting) origin() string {
	if s.line == 0 {
		return s.from
	}
	return fmt.Sprintf("%s, line %d", s.from, s.line)
}

// loader gathers the settings in force and all that is wrong with them.
type loader struct {
	known     []string // every variable's name, in the order of the table
	effective map[string]setting
	refused   map[string]bool // given, but useless; the reason is among the problems
	hidden    map[string]bool // values that may be a secret in the wrong place
	problems  []string
	warnings  []string
	unaltered func(*os.File) error // as Source.Unaltered

	enrollmentKeyFile string // where the enrollment key was read from; "" if not from a file of its own
	keyInFile         string // the configuration file, if it assigns an enrollment key
}

func newLoader() *loader {
	return &loader{
		known:     variableNames(),
		effective: map[string]setting{},
		refused:   map[string]bool{},
		hidden:    map[string]bool{},
	}
}

func (l *loader) problem(subject, format string, args ...any) {
	l.problems = append(l.problems, presentable(subject+": "+fmt.Sprintf(format, args...)))
}

// bad reports what is wrong with the value of a variable.
func (l *loader) bad(name, format string, args ...any) {
	l.problem(fmt.Sprintf("%s (%s)", name, l.effective[name].origin()), format, args...)
}

// refuse reports what is wrong with the value of a variable and goes on
// without it.
func (l *loader) refuse(name, format string, args ...any) {
	l.bad(name, format, args...)
	l.refused[name] = true
	delete(l.effective, name)
}

// given reports whether a variable was set, to whatever value.
func (l *loader) given(name string) bool {
	_, set := l.effective[name]
	return set || l.refused[name]
}

// set takes one variable from a source. A later call overrides an earlier one.
func (l *loader) set(name string, s setting) {
	subject := fmt.Sprintf("%s (%s)", name, s.origin())
	switch {
	case strings.HasPrefix(name, devPrefix) && !devBuild && slices.Contains(l.known, name):
		l.problem(subject, "this build cannot be made insecure; remove the variable, or use a development build (build tag dev)")
	case !slices.Contains(l.known, name):
		advice := fmt.Sprintf("there is no such variable; the nearest known one is %s", nearest(name, l.known))
		if s.from == FromEnvironment {
			l.warnings = append(l.warnings, presentable(subject+": "+advice+"; it is ignored"))
		} else {
			l.problem(subject, "%s; correct the name or remove it", advice)
		}
	case s.text != "":
		l.effective[name] = s
	}
}

// environmentMap is environ by name.
func environmentMap(environ []string) map[string]string {
	environment := make(map[string]string, len(environ))
	for _, entry := range environ {
		// Windows has names that begin with "=".
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
			environment[environmentName(name)] = value
		}
	}
	return environment
}

func (l *loader) applyEnvironment(environment map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		if strings.HasPrefix(name, prefix) {
			l.set(name, setting{text: environment[name], from: FromEnvironment})
		}
	}
	for _, name := range proxyVariables() {
		l.set(name, setting{text: environment[strings.ToLower(name)], from: FromEnvironment})
		l.set(name, setting{text: environment[name], from: FromEnvironment})
	}
}

func (l *loader) applyFlags(flags map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		l.set(name, setting{text: flags[name], from: FromFlag})
	}
}

// readFile takes the variables of the configuration file. One that others may
// write is judged like any other, so that all problems show at once.
func (l *loader) readFile(path string, environment map[string]string) {
	explicit := path != ""
	if !explicit {
		path = defaultFile(environment)
	}
	from := fileOrigin(path)
	data, altered, err := l.readOwn(path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !explicit:
		return
	case err != nil:
		l.problem(from, "the configuration cannot be read: %s", reason(err))
		return
	}
	if altered != nil {
		l.problem(from, "%v", altered)
	}
	assignments, faults := parseEnvironmentFile(string(data))
	for _, f := range faults {
		l.problem(fmt.Sprintf("%s, line %d", from, f.line), "%s", f.text)
	}
	for _, a := range assignments {
		if strings.HasPrefix(a.name, prefix) || slices.Contains(proxyVariables(), a.name) {
			delete(l.effective, a.name) // the last one counts, an empty one too
			l.set(a.name, setting{text: a.value, from: from, line: a.line})
			if a.name == enrollmentKeyVariable && a.value != "" {
				l.keyInFile = path
			}
		}
	}
}

// refuseMisplacedKeys refuses a key in a variable that is not for one, before
// anything could repeat or send it.
func (l *loader) refuseMisplacedKeys() {
	for _, name := range l.known {
		if !isSecret(name) && isKey(l.effective[name].text) {
			l.refuse(name, "the value is a key; a key belongs in %s or %s", enrollmentKeyVariable, apiKeyVariable)
		}
	}
}

// setDefaults fills in the defaults that depend on the machine or on other
// variables; the fixed ones are in the table of variables.
func (l *loader) setDefaults(environment map[string]string) {
	l.fill(stateDirVariable, defaultStateDir(environment))
	state := l.effective[stateDirVariable]
	if err := new(filePath).UnmarshalText([]byte(state.text)); err == nil {
		// The path names the status socket, whatever directory a command is
		// started in.
		absolute, err := filepath.Abs(state.text)
		if err != nil {
			l.bad(stateDirVariable, "the path cannot be made absolute: %s", reason(err))
		}
		state.text = absolute
		l.effective[stateDirVariable] = state
	}
	certs := filepath.Join(state.text, "certs")
	l.fill("MUSTER_CA_CERT", filepath.Join(certs, "ca.pem"))
	l.fill("MUSTER_SERVER_CERT", filepath.Join(certs, "server.pem"))
	l.fill("MUSTER_SERVER_KEY", filepath.Join(certs, "server.key.pem"))
	l.fill("MUSTER_CRL", filepath.Join(certs, "crl.pem"))
	l.fill("MUSTER_MANAGER_TRUST_CA_FILE", l.effective["MUSTER_TRUST_CA_FILE"].text)
	l.fill("MUSTER_MANAGER_TRUST_SPKI_SHA256", l.effective["MUSTER_TRUST_SPKI_SHA256"].text)
}

// fill gives a variable a default where nothing else did.
func (l *loader) fill(name, text string) {
	if _, set := l.effective[name]; !set && text != "" {
		l.effective[name] = setting{text: text, from: FromDefault}
	}
}

// setDelays fills in the defaults of the delays.
func (l *loader) setDelays(p ports.DelayPolicy) {
	for class, d := range map[string]ports.Delays{"TRANSIENT": p.Transient, "PENDING": p.Pending, "OPERATOR": p.Operator} {
		l.fill(prefix+class+"_MIN", delayText(d.Min))
		l.fill(prefix+class+"_MAX", delayText(d.Max))
	}
}

// delayText is a delay as a person writes it, in the greatest unit of which it
// has more than one: "60s", "5m". It is empty for 0.
func delayText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d > unit.length && d%unit.length == 0 {
			return strconv.FormatInt(int64(d/unit.length), 10) + unit.name
		}
	}
	return d.String()
}

// fileOrigin is the Value.From of a value from a file.
func fileOrigin(path string) string { return "file " + withoutSecrets(path) }
