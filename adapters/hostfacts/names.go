package hostfacts

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxHosts is how much of a hosts file is read, in bytes. Files that block
// advertisements have megabytes, but this host's line is at the top.
const maxHosts = 1 << 20

// fqdn is the host's name if that is full already, else what the hosts file or
// the resolver says, else the name.
func (d *Describer) fqdn(ctx context.Context, hostname string) string {
	if name := strings.TrimSuffix(hostname, "."); strings.Contains(name, ".") {
		return name
	}
	if name := fromHosts(filepath.Join(d.options.Root, "etc/hosts"), hostname); name != "" {
		return name
	}
	limited, cancel := context.WithTimeout(ctx, canonicalTimeout)
	defer cancel()
	name, err := d.network.canonical(limited, hostname)
	name = strings.TrimSuffix(name, ".")
	if err != nil || !isFullName(name) {
		return hostname
	}
	return name
}

// fromHosts finds a full name that begins with hostname, on a line of hosts(5)
// that has hostname too; "" if there is none.
func fromHosts(path, hostname string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }() // only read: nothing is lost
	for lines := bufio.NewScanner(io.LimitReader(file, maxHosts)); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		full, known := "", false
		for i, name := range strings.Fields(line) {
			switch {
			case i == 0: // the address
			case strings.EqualFold(name, hostname):
				known = true
			case full == "" && isFullName(name) && len(name) > len(hostname) && strings.EqualFold(name[:len(hostname)+1], hostname+"."):
				full = strings.TrimSuffix(name, ".")
			}
		}
		if known && full != "" {
			return full
		}
	}
	return ""
}

// isFullName reports whether a name has a domain and fits a certificate.
func isFullName(name string) bool {
	const most = 253 // RFC 1035, section 3.1, without the final dot
	return len(name) <= most && strings.Contains(strings.Trim(name, "."), ".") &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}
