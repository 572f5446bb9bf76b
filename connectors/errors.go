package connectors

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrUnknown means that there is no such integration.
	ErrUnknown = errors.New("there is no such integration")
	// ErrNoSecret means that an integration has no secret to verify with.
	ErrNoSecret = errors.New("the integration has no webhook secret")
)

// CredentialError means that the provider refused the credential: no retry
// helps. Message says what to do.
type CredentialError struct {
	Field   string // "apiKey"
	Message string
	// Missing are the permissions that the credential lacks, by the
	// provider's names.
	Missing []string
}

func (e *CredentialError) Error() string {
	s := e.Message
	if len(e.Missing) > 0 {
		s += " (missing: " + strings.Join(e.Missing, ", ") + ")"
	}
	return s
}

// RefusedError means that the provider refused a mutation: no retry helps.
type RefusedError struct {
	Field   string // the entity's field at fault, "" where none is
	Message string
	Status  int // the provider's HTTP status
}

func (e *RefusedError) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return fmt.Sprintf("%s: %s", e.Field, e.Message)
}
