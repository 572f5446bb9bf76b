package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

func invalid(field, format string, args ...any) *graph.Error {
	return &graph.Error{Code: graph.CodeValidation, Type: integration, Field: field, Message: field + ": " + fmt.Sprintf(format, args...)}
}

func unavailable(err error, message string) *graph.Error {
	return &graph.Error{Code: graph.CodeUnavailable, Message: message, RetryAfter: time.Second, Err: err}
}

// answer turns a connector's error into what the caller gets.
func (c *Connections) answer(l *connectors.Link, typ, id string, kind connectors.Kind, err error) *graph.Error {
	var (
		known     *graph.Error
		cred      *connectors.CredentialError
		refused   *connectors.RefusedError
		temporary *headlessly.Temporary
		out       = &graph.Error{Code: graph.CodeProvider, Type: typ, ID: id, Err: nil}
	)
	message := scrub(l, err.Error())
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &cred):
		out.Field, out.Message = cred.Field, kind.Name+" refuses the credential: "+message
		for _, m := range cred.Missing {
			out.Details = append(out.Details, &graph.Error{Code: graph.CodeForbidden, Field: cred.Field, Message: "missing permission: " + m})
		}
	case errors.As(err, &refused) && refused.Field != "":
		out.Code, out.Field, out.Message = graph.CodeVetoed, refused.Field, kind.Name+" refuses it: "+message
	case errors.As(err, &refused):
		out.Message = kind.Name + " refuses it: " + message
	case errors.As(err, &temporary):
		out.Message, out.RetryAfter = kind.Name+" cannot take it now, try again: "+message, temporary.After
		if temporary.Throttled {
			out.Message = kind.Name + " limits the rate, try again later: " + message
		}
	default:
		if faults := faults(typ, err); faults != nil {
			return faults
		}
		out.Message = kind.Name + " did not answer as it should: " + message
	}
	return out
}

// faults gives the validation error of joined FieldErrors, nil when there are
// none.
func faults(typ string, err error) *graph.Error {
	var all []*graph.Error
	var walk func(error)
	walk = func(err error) {
		if many, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the joined error itself is wanted
			for _, e := range many.Unwrap() {
				walk(e)
			}
			return
		}
		var f *headlessly.FieldError
		if errors.As(err, &f) {
			all = append(all, &graph.Error{Code: graph.CodeValidation, Type: typ, Field: f.Field, Message: f.Field + " " + f.Message})
		}
	}
	walk(err)
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return &graph.Error{Code: graph.CodeValidation, Type: typ, Field: all[0].Field, Details: all, Message: "several fields are at fault; details names each"}
}

// scrub takes the link's credentials out of a text: what a provider answers
// may repeat them.
func scrub(l *connectors.Link, s string) string {
	if l == nil {
		return s
	}
	for _, secret := range l.Secrets {
		if v := secret.Reveal(); len(v) >= 4 {
			s = strings.ReplaceAll(s, v, secret.String())
		}
	}
	return s
}

// lasting says whether an error is one that no retry mends.
func lasting(err error) bool {
	var cred *connectors.CredentialError
	var refused *connectors.RefusedError
	var permanent *headlessly.Permanent
	return errors.As(err, &cred) || errors.As(err, &refused) || errors.As(err, &permanent)
}

// passing is the first error among those of a page's changes that says nothing
// of the object, but that the provider could not be asked: to go on behind the
// page would lose what the object is now.
func passing(errs []error) error {
	for _, err := range errs {
		var temporary *headlessly.Temporary
		var cred *connectors.CredentialError
		if errors.As(err, &temporary) || errors.As(err, &cred) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return nil
}

// pauseOf is what a temporary error asks to wait, at least.
func pauseOf(err error) time.Duration {
	var t *headlessly.Temporary
	if errors.As(err, &t) {
		return t.After
	}
	return 0
}

// faultCode says whether the graph refuses a mutation for what it is.
func faultCode(err error) bool {
	switch graph.CodeOf(err) {
	case graph.CodeValidation, graph.CodeTooLarge, graph.CodeVetoed:
		return true
	}
	return false
}
