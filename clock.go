package headlessly

import "time"

// Clock tells the time. Everything that needs it is given one, so that tests
// set their own.
type Clock func() time.Time

// SystemClock is the machine's clock.
func SystemClock() time.Time { return time.Now() } //nolint:forbidigo // the one place that reads the clock
