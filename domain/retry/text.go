package retry

import "time"

// Text is a duration as people read it: whole seconds from ten on, milliseconds
// below.
func Text(d time.Duration) string {
	if d.Abs() >= 10*time.Second {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}
