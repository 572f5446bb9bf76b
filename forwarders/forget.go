package forwarders

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/headlessly/headlessly"
)

// What became of a person's deletion at a destination.
const (
	ForgetRequested = "requested" // the provider took the request; it deletes in its own time
	ForgetByHand    = "by_hand"   // a person must do it: Detail says how
	ForgetFailed    = "failed"    // worth another try
)

// Forget is how a kind of destination deletes a person. Its functions are safe
// for concurrent use.
type Forget struct {
	// IDs gives the ids by which the destination knows the person of an event,
	// in a form of the kind's own. No I/O.
	IDs func(e *headlessly.Event) []string
	// Delete asks the provider to delete everything of these ids, all of one
	// person. It blocks until the provider has answered or ctx is done, and may
	// be called again: deleting is idempotent. Detail holds no credential and no
	// id.
	Delete func(ctx context.Context, d headlessly.Destinations, deps Deps, ids []string) ForgetResult
}

// ForgetResult is what became of a deletion at one destination.
type ForgetResult struct {
	Destination string `json:"destination"`
	Status      string `json:"status"` // one of the Forget constants
	IDs         int    `json:"ids"`    // that the destination was asked to delete
	Detail      string `json:"detail,omitempty"`
}

// maxForgetAnswer bounds what is read of a provider's answer.
const maxForgetAnswer = 64 << 10

// AskToForget sends one request of a deletion and judges the answer: nil for
// 2xx and 404 (nobody there is as good as deleted), *headlessly.Permanent for
// what another try won't mend.
func AskToForget(client *http.Client, req *http.Request) error {
	res, err := client.Do(req) //nolint:gosec // the guarded client
	if err != nil {
		return fmt.Errorf("no answer: %w", plain(err))
	}
	defer res.Body.Close() //nolint:errcheck // read as far as needed
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxForgetAnswer))
	switch code := res.StatusCode; {
	case code < 300 || code == http.StatusNotFound:
		return nil
	case code == http.StatusTooManyRequests || code >= 500:
		return fmt.Errorf("answered %s", res.Status)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return &headlessly.Permanent{Status: code, Err: fmt.Errorf("answered %s: the credential for deletions may not do this", res.Status)}
	default:
		return &headlessly.Permanent{Status: code, Err: fmt.Errorf("answered %s", res.Status)}
	}
}

// plain leaves the address out of a client's error: it holds ids.
func plain(err error) error {
	var inner interface{ Unwrap() error }
	if errors.As(err, &inner) && strings.Contains(err.Error(), "://") {
		if cause := inner.Unwrap(); cause != nil {
			return cause
		}
	}
	return err
}

// ForgetOutcome turns the error of a deletion into its result.
func ForgetOutcome(err error, ids int, hand string) ForgetResult {
	var permanent *headlessly.Permanent
	switch {
	case err == nil:
		return ForgetResult{Status: ForgetRequested, IDs: ids}
	case errors.As(err, &permanent):
		return ForgetResult{Status: ForgetByHand, Detail: err.Error() + "; " + hand}
	}
	return ForgetResult{Status: ForgetFailed, Detail: err.Error()}
}
