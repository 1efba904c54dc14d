package memory

import (
	"fmt"
	"sync"
	"testing"

	"github.com/matryer/is"
)

func TestOutputOfSeveral(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var (
		o    Output
		both sync.WaitGroup
	)
	for range 2 {
		both.Go(func() {
			if _, err := fmt.Fprintln(&o, "a line"); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	is.Equal(o.String(), "a line\na line\n")
}
