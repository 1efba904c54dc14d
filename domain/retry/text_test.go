package retry

import (
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                             "0s",
		1_234_567 * time.Nanosecond:   "1ms",
		1_567_913_983:                 "1.568s",
		10*time.Second - 1:            "10s",
		10*time.Second + 400_000_000:  "10s",
		time.Minute + 1_567_913_983:   "1m2s",
		-(time.Minute + 600_000_000):  "-1m1s",
		24*time.Hour + 30*time.Second: "24h0m30s",
	} {
		is.New(t).Equal(Text(d), want)
	}
}
