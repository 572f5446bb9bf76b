package graph

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Code is the machine-readable kind of an [Error], the same in every face.
type Code string

// Error codes.
const (
	CodeInvalidFilter   Code = "invalid_filter"
	CodeInvalidJSON     Code = "invalid_json"
	CodeValidation      Code = "validation_failed"
	CodeUnauthorized    Code = "unauthorized"
	CodeForbidden       Code = "forbidden"
	CodeNotFound        Code = "not_found"
	CodeNotAllowed      Code = "method_not_allowed"
	CodeConflict        Code = "conflict"
	CodeVersionMismatch Code = "version_mismatch"
	CodeTooLarge        Code = "too_large"
	CodeVetoed          Code = "vetoed"
	CodeRateLimited     Code = "rate_limited"
	CodeProvider        Code = "provider_error"
	CodeUnavailable     Code = "unavailable"
	CodeInternal        Code = "internal"
)

// Error is what a caller did wrong or cannot have now. Its JSON form is the
// body of an error answer. Message says what to do next.
type Error struct {
	Code    Code     `json:"error"`
	Message string   `json:"message"`
	Type    string   `json:"type,omitempty"`
	ID      string   `json:"id,omitempty"`
	Field   string   `json:"field,omitempty"`
	Details []*Error `json:"details,omitempty"` // each fault, when there are several

	RetryAfter time.Duration `json:"-"` // least wait that makes sense, 0 when not known
	Err        error         `json:"-"` // the cause, never shown to clients
}

// Error implements error.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Status is the HTTP status of the error.
func (e *Error) Status() int {
	switch e.Code {
	case CodeInvalidFilter, CodeInvalidJSON, CodeValidation:
		return http.StatusBadRequest
	case CodeUnauthorized:
		return http.StatusUnauthorized
	case CodeForbidden:
		return http.StatusForbidden
	case CodeNotFound:
		return http.StatusNotFound
	case CodeNotAllowed:
		return http.StatusMethodNotAllowed
	case CodeConflict:
		return http.StatusConflict
	case CodeVersionMismatch:
		return http.StatusPreconditionFailed
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeVetoed:
		return http.StatusUnprocessableEntity
	case CodeRateLimited:
		return http.StatusTooManyRequests
	case CodeProvider:
		return http.StatusBadGateway
	case CodeUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// CodeOf gives an error's code: "" for nil, [CodeInternal] for one that is not
// an [Error].
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

func notFound(typ, id, format string, args ...any) *Error {
	return &Error{Code: CodeNotFound, Type: typ, ID: id, Message: fmt.Sprintf(format, args...)}
}

// longestID is as much of an unknown id as an error repeats.
const longestID = 64

// NoSuch is the error of an id that names nothing of a type.
func (s *Store) NoSuch(typ, id string) *Error {
	other := ""
	if t := s.types.OfID(id); t != nil && t.Name != typ {
		other = ", which is the id of " + withArticle(t.Name)
	}
	shown := id
	if len(shown) > longestID {
		shown = strings.ToValidUTF8(shown[:longestID], "") + "…"
	}
	return notFound(typ, id, "there is no such %s: %s%s; %s.find lists them", typ, shown, other, typ)
}

// withArticle is a type's name in a sentence.
func withArticle(typ string) string {
	if strings.ContainsAny(typ[:min(1, len(typ))], "AEIO") {
		return "an " + typ
	}
	return "a " + typ
}

func invalid(typ, field, format string, args ...any) *Error {
	return &Error{Code: CodeValidation, Type: typ, Field: field, Message: fmt.Sprintf(format, args...)}
}

func badFilter(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalidFilter, Field: field, Message: fmt.Sprintf(format, args...)}
}

func unavailable(err error, message string) *Error {
	return &Error{Code: CodeUnavailable, Message: message, RetryAfter: time.Second, Err: err}
}

// joined makes one error of several faults: the fault itself when there is one.
func joined(typ, id string, faults []*Error) error {
	switch len(faults) {
	case 0:
		return nil
	case 1:
		faults[0].ID = id
		return faults[0]
	}
	return &Error{
		Code: CodeValidation, Type: typ, ID: id, Field: faults[0].Field, Details: faults,
		Message: "several fields are at fault; details names each",
	}
}
