//go:build unix

package statussocket

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.LocalStatus(t, func(t *testing.T) contracttest.LocalEndpoint {
		dir := t.TempDir()
		file := filepath.Join(dir, "a file")
		is.New(t).NoErr(os.WriteFile(file, nil, 0o600))
		return contracttest.LocalEndpoint{
			Server: NewServer(dir), Client: NewClient(dir), Forbidden: forbidden(t, dir),
			Closed: NewServer(filepath.Join(file, "below")),
		}
	})
}
