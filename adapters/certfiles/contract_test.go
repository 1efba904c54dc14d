package certfiles

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	t.Parallel()
	for name, paths := range map[string]func(string) Paths{"one directory": at, "several directories": apart} {
		t.Run(name, func(t *testing.T) {
			contracttest.CertificateFiles(t, func(t *testing.T) func() *Files {
				dir := certsDir(t)
				return func() *Files {
					f := New(paths(dir))
					f.Recovered = func(r ports.Recovery) { t.Errorf("recovered from %+v", r) }
					return f
				}
			})
		})
	}
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	contracttest.CertificateTroubles(t, func(t *testing.T) contracttest.TroubledFiles {
		dir, full := certsDir(t), false
		return contracttest.TroubledFiles{
			Open: func() ports.CertificateFiles {
				f := New(at(dir))
				f.disk.Around = func(op durable.Op, _ string, call func() error) error {
					if op == durable.OpWrite && full {
						return syscall.ENOSPC
					}
					return call()
				}
				return f
			},
			Full: func() (end func()) {
				full = true
				return func() { full = false }
			},
			Copies: func(path string) (copies []ports.Secret) {
				names, err := filepath.Glob(path + durable.DamagedInfix + "*") // sorted
				disktest.Must(t, err)
				for _, name := range names {
					copies = append(copies, ports.NewSecret(disktest.Read(t, name)))
				}
				return copies
			},
		}
	})
}
