package envconfig

import (
	"errors"
	"os"
	"testing"
)

// TestUnaltered shows that a judgement given from outside stands in the place
// of the mode's, for the configuration and for files of secrets.
func TestUnaltered(t *testing.T) {
	t.Parallel()
	key := write(t, "key", enrollKey)
	src := source(t, "MUSTER_LOG_LEVEL=loud\n", "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY_FILE="+key)
	var asked []string
	src.Unaltered = func(f *os.File) error {
		asked = append(asked, f.Name())
		return errors.New("the neighbour may write it")
	}
	expect(t, problems(t, src), "file "+src.File+": the neighbour may write it", "MUSTER_ENROLLMENT_KEY_FILE (environment): "+key+"|the neighbour", "MUSTER_LOG_LEVEL")
	if len(asked) != 2 {
		t.Errorf("asked about %q", asked)
	}
	if got := DefaultFile([]string{"PROGRAMDATA=/data", "OTHER=x"}); got != defaultFile(map[string]string{"PROGRAMDATA": "/data"}) || got == "" {
		t.Errorf("the default file is %q", got)
	}
}
