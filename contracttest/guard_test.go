package contracttest_test

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestRecordingGuard(t *testing.T) {
	t.Parallel()
	contracttest.Guard(t, func() ports.Guard { return new(contracttest.RecordingGuard) })
}
