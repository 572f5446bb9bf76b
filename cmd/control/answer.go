package control

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/headlessly/headlessly"
)

// fault is the body of an error.
type fault struct {
	Error   string  `json:"error"`
	Message string  `json:"message"`
	Field   string  `json:"field,omitempty"`
	Details []fault `json:"details,omitempty"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client is gone when this fails
}

func writeError(w http.ResponseWriter, status int, code, field, message string) {
	writeJSON(w, status, fault{Error: code, Message: message, Field: field})
}

// writeFaults answers 400 with one detail for each joined FieldError.
func writeFaults(w http.ResponseWriter, err error) {
	var all []fault
	collect(err, &all)
	if len(all) == 1 {
		writeJSON(w, http.StatusBadRequest, all[0])
		return
	}
	top := fault{Error: "validation_failed", Message: "several fields are at fault; details names each", Details: all}
	if len(all) > 0 {
		top.Field = all[0].Field
	}
	writeJSON(w, http.StatusBadRequest, top)
}

func collect(err error, out *[]fault) {
	if many, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the joined error itself is wanted
		for _, e := range many.Unwrap() {
			collect(e, out)
		}
		return
	}
	var f *headlessly.FieldError
	if errors.As(err, &f) {
		*out = append(*out, fault{Error: f.Code, Message: f.Field + " " + f.Message, Field: f.Field})
	}
}

const timeFormat = "2006-01-02T15:04:05.000000Z"

// read decodes a JSON body and answers the fault when it cannot.
func (c call) read(v any) bool {
	dec := json.NewDecoder(c.r.Body)
	err := dec.Decode(v)
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &large):
		writeError(c.w, http.StatusRequestEntityTooLarge, "too_large", "body", "the body is larger than 1 MiB")
	case errors.Is(err, io.EOF):
		writeError(c.w, http.StatusBadRequest, "invalid_json", "body", "the body is empty; send a JSON object")
	default:
		writeError(c.w, http.StatusBadRequest, "invalid_json", "body", "the body is not the JSON object that this call wants")
	}
	return false
}
