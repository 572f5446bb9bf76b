package headlessly

import (
	"fmt"
	"time"
)

// Permanent is a delivery error that no retry mends: the provider refused the
// item. Status is its HTTP status, or 0.
type Permanent struct {
	Status int
	Err    error
}

func (e *Permanent) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Permanent) Unwrap() error { return e.Err }

// Temporary is a delivery error worth a retry. After is the least wait that
// the provider asked for, 0 when it did not say. Throttled tells a rate limit
// from a fault.
type Temporary struct {
	After     time.Duration
	Throttled bool
	Err       error
}

func (e *Temporary) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Temporary) Unwrap() error { return e.Err }

// Unknown is a delivery error after which nobody knows whether the provider
// took the item: the request was written and the answer lost.
type Unknown struct{ Err error }

func (e *Unknown) Error() string { return "outcome unknown: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *Unknown) Unwrap() error { return e.Err }

// FieldError is input at fault. Code is machine-readable and stable, Field
// names the place ("events[3].ts"), Message says what to do.
type FieldError struct {
	Code    string
	Field   string
	Message string
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return fmt.Sprintf("%s: %s", e.Field, e.Message)
}
