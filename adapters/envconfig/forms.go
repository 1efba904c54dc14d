package envconfig

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/muster-agent/muster/ports"
)

// The types of this file are the forms that a variable's text may have. Their
// errors complete a sentence that begins with the variable, and repeat no value
// that could be a secret in the wrong place.

// line is anything that a person may write on one line.
type line string

func (l *line) UnmarshalText(raw []byte) error {
	if !utf8.Valid(raw) || strings.ContainsFunc(string(raw), unicode.IsControl) {
		return errors.New("the value holds control characters or is not UTF-8; write plain text on one line")
	}
	*l = line(raw)
	return nil
}

// filePath names a file or directory.
type filePath string

func (p *filePath) UnmarshalText(raw []byte) error {
	var name line
	if err := name.UnmarshalText(raw); err != nil {
		return err
	}
	if strings.Contains(string(name), "://") {
		return errors.New("the value is a URL; give the path of a file or directory of this machine")
	}
	// On Windows C:dir is relative to a current directory of the drive; it is
	// what an unquoted C:\dir in the file becomes.
	if filepath.VolumeName(string(name)) != "" && !filepath.IsAbs(string(name)) {
		return errors.New(`there is no backslash after the drive; write the full path (in the file in quotes: 'C:\…')`)
	}
	*p = filePath(name)
	return nil
}

// tags are separated by commas.
type tags []string

func (t *tags) UnmarshalText(raw []byte) error {
	var whole line
	if err := whole.UnmarshalText(raw); err != nil {
		return err
	}
	for tag := range strings.SplitSeq(string(whole), ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			*t = append(*t, tag)
		}
	}
	return nil
}

// machineUID is muid_ and a SHA-256.
type machineUID string

func (m *machineUID) UnmarshalText(raw []byte) error {
	digits, ok := strings.CutPrefix(string(raw), "muid_")
	if !ok || len(digits) != 64 || strings.Trim(digits, "0123456789abcdef") != "" {
		return errors.New("the value is not muid_ and 64 lower-case hexadecimal digits; copy it from muster identify")
	}
	*m = machineUID(raw)
	return nil
}

// agentID is a UUID (RFC 9562, section 4), kept in lower case.
type agentID string

func (a *agentID) UnmarshalText(raw []byte) error {
	id := strings.ToLower(string(raw))
	groups := strings.Split(id, "-")
	lengths := make([]int, len(groups))
	for i, group := range groups {
		lengths[i] = len(group)
	}
	if !slices.Equal(lengths, []int{8, 4, 4, 4, 12}) || strings.Trim(id, "-0123456789abcdef") != "" {
		return errors.New("the value is not a UUID such as 123e4567-e89b-12d3-a456-426614174000; correct it, or unset it to have one made")
	}
	*a = agentID(id)
	return nil
}

// enrollmentKey is a site's key, as its operator was given it.
type enrollmentKey struct{ secret ports.Secret }

func (k *enrollmentKey) UnmarshalText(raw []byte) error {
	key := string(raw)
	if !strings.HasPrefix(key, "cek_") || key == "cek_" {
		return errors.New("the value does not begin with cek_ like every enrollment key; copy the key from the site's page again")
	}
	if !printable(key) {
		return errors.New("the key holds spaces or control characters; copy it again, without line ends")
	}
	k.secret = ports.NewSecret(key)
	return nil
}

// sharedKey is the deprecated API key. Old ones have any form.
type sharedKey struct{ secret ports.Secret }

func (k *sharedKey) UnmarshalText(raw []byte) error {
	key := string(raw)
	if strings.HasPrefix(key, "cek_") {
		return errors.New("the value is an enrollment key; move it to " + enrollmentKeyVariable)
	}
	if !printable(key) {
		return errors.New("the key holds spaces or control characters; copy it again, without line ends")
	}
	k.secret = ports.NewSecret(key)
	return nil
}

// printable reports whether key is UTF-8 without spaces and control
// characters.
func printable(key string) bool {
	return utf8.ValidString(key) && !strings.ContainsFunc(key, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

// pins are SHA-256 sums of SubjectPublicKeyInfos, separated by commas.
type pins [][sha256Size]byte

const sha256Size = 32

func (p *pins) UnmarshalText(raw []byte) error {
	number := 0
	for pin := range strings.SplitSeq(string(raw), ",") {
		number++
		pin = strings.TrimSpace(pin)
		var sum []byte
		var err error
		switch len(pin) {
		case hex.EncodedLen(sha256Size):
			sum, err = hex.DecodeString(pin)
		case base64.StdEncoding.EncodedLen(sha256Size):
			sum, err = base64.StdEncoding.Strict().DecodeString(pin)
		}
		if err != nil || len(sum) != sha256Size {
			return fmt.Errorf("pin %d is neither 64 hexadecimal digits nor 44 characters of base64; give the SHA-256 of the public key (SubjectPublicKeyInfo)", number)
		}
		*p = append(*p, [sha256Size]byte(sum))
	}
	return nil
}

// ipAddress is an IP address without a zone.
type ipAddress string

func (a *ipAddress) UnmarshalText(raw []byte) error {
	parsed, err := netip.ParseAddr(string(raw))
	if err != nil || parsed.Zone() != "" || parsed.IsUnspecified() {
		return fmt.Errorf("%s is not an IP address of a host; write it like 10.20.0.7 or 2001:db8::7", quote(string(raw)))
	}
	*a = ipAddress(parsed.String())
	return nil
}

// hostPort is an address to listen on.
type hostPort string

func (h *hostPort) UnmarshalText(raw []byte) error {
	if !isHostPort(string(raw)) {
		return fmt.Errorf("%s is not an address with a port; write it like 127.0.0.1:9100, [::1]:9100 or :9100", quote(string(raw)))
	}
	*h = hostPort(raw)
	return nil
}

// listener is a hostPort or "off".
type listener string

func (a *listener) UnmarshalText(raw []byte) error {
	if string(raw) != "off" && !isHostPort(string(raw)) {
		return fmt.Errorf("%s is not an address with a port; write it like :12443 or 10.20.0.7:12443, or off for none", quote(string(raw)))
	}
	*a = listener(raw)
	return nil
}

func isHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !printable(host) {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// The closed sets of words.
type (
	level     string
	format    string
	relayAuth string
)

func (l *level) UnmarshalText(raw []byte) error {
	return oneOf((*string)(l), raw, "debug", "info", "warn", "error")
}

func (f *format) UnmarshalText(raw []byte) error {
	return oneOf((*string)(f), raw, "text", "json")
}

func (r *relayAuth) UnmarshalText(raw []byte) error {
	return oneOf((*string)(r), raw, "query", "header")
}

func oneOf(target *string, raw []byte, words ...string) error {
	if !slices.Contains(words, string(raw)) {
		return fmt.Errorf("%s is none of %s; choose one", quote(string(raw)), strings.Join(words, ", "))
	}
	*target = string(raw)
	return nil
}

// The durations, each with its range.
type (
	patience time.Duration // 0 (never) and more
	delay    time.Duration // at least minDelay
	interval time.Duration // up to maxInterval; check knows the lower end
)

const (
	minDelay = 10 * time.Millisecond // docs/CONFIGURATION.md, "Delays"

	// MUSTER_POLLING_INTERVAL: docs/CONFIGURATION.md, "Manager enrollment and
	// certificates".
	minInterval = time.Second
	maxInterval = time.Hour
)

func (p *patience) UnmarshalText(raw []byte) error {
	return duration((*time.Duration)(p), raw, 0, 1<<63-1, "0 (never) or more")
}

func (d *delay) UnmarshalText(raw []byte) error {
	return duration((*time.Duration)(d), raw, minDelay, 1<<63-1, "at least 10ms")
}

func (i *interval) UnmarshalText(raw []byte) error {
	return duration((*time.Duration)(i), raw, 1, maxInterval, "more than 0 and at most 1h")
}

func duration(target *time.Duration, raw []byte, least, most time.Duration, rule string) error {
	d, err := time.ParseDuration(string(raw))
	if err != nil {
		return fmt.Errorf("%s is not a duration; write it like 90s, 5m or 24h", quote(string(raw)))
	}
	if d < least || d > most {
		return fmt.Errorf("%v is out of range; it has to be %s", d, rule)
	}
	*target = d
	return nil
}

// The numbers, each with its range.
type (
	polls int // 1 to maxPolls
	days  int // 0 to maxDays
)

const (
	// maxPolls is a day at the default interval (docs/CONFIGURATION.md, "Manager
	// enrollment and certificates").
	maxPolls = 1440
	maxDays  = 36500 // a hundred years; time.Duration ends at 292
)

func (p *polls) UnmarshalText(raw []byte) error { return number((*int)(p), raw, 1, maxPolls) }

func (d *days) UnmarshalText(raw []byte) error { return number((*int)(d), raw, 0, maxDays) }

func number(target *int, raw []byte, least, most int) error {
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < least || n > most {
		return fmt.Errorf("%s is not a whole number from %d to %d", quote(string(raw)), least, most)
	}
	*target = n
	return nil
}
