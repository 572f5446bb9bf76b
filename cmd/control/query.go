package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

func badQuery(field, message string) error {
	return &graph.Error{Code: graph.CodeInvalidFilter, Field: field, Message: field + ": " + message}
}

// urlQuery reads a query from a URL: the reserved parameters, a filter object
// in filter, and every other parameter as a condition on a field (stage=Lead,
// value[$gt]=100).
func urlQuery(t *graph.Type, v url.Values) (graph.Query, error) {
	q := graph.Query{Type: t.Name, Filter: map[string]any{}}
	if raw := v.Get("filter"); raw != "" {
		dec := json.NewDecoder(strings.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&q.Filter); err != nil || q.Filter == nil {
			return q, badQuery("filter", `must be a JSON object such as {"stage":"Lead"}, URL-encoded`)
		}
	}
	for name, values := range v {
		known, err := reserved(&q, name, values[len(values)-1])
		if err != nil {
			return q, err
		}
		if !known {
			if err := misspelt(t, name); err != nil {
				return q, err
			}
			if err := condition(t, q.Filter, name, values); err != nil {
				return q, err
			}
		}
	}
	return q, nil
}

// reserved reads a parameter that is no field.
func reserved(q *graph.Query, name, value string) (known bool, err error) {
	switch name {
	case "filter":
	case "sort":
		q.Sort = list(value)
	case "include":
		q.Include = list(value)
	case "fields":
		q.Fields = list(value)
	case "cursor":
		q.Cursor = value
	case "limit", "offset":
		n, err := strconv.Atoi(value)
		switch {
		case err != nil:
			return true, badQuery(name, "must be a whole number")
		case name == "offset":
			q.Offset = n
		case n < 1:
			return true, badQuery(name, "must be 1 to "+strconv.Itoa(graph.MaxLimit))
		default:
			q.Limit = n
		}
	case "withTotal":
		want, err := strconv.ParseBool(value)
		if err != nil {
			return true, badQuery(name, "must be true or false")
		}
		q.NoTotal = !want
	case "asOf":
		q.AsOf, err = asOf(value)
	default:
		return false, nil
	}
	return true, err
}

// misspelt refuses a parameter that no declaration knows as a field and that is
// almost one of a query's own: taken for a field it would find nothing, or have
// everything left out that was asked for. A field of such a name is found with
// filter.
func misspelt(t *graph.Type, name string) error {
	field, _, bracketed := strings.Cut(name, "[")
	if t.Field(field) != nil || bracketed || strings.ContainsAny(field, "$.") {
		return nil
	}
	if own := elsewhere(field); own != "" {
		return badQuery(name, "is no parameter and no declared field of "+t.Name+"; pages are asked for with limit, and "+own+`. A field of this name is found with filter={"`+field+`":…}`)
	}
	for _, own := range []string{"filter", "sort", "include", "fields", "cursor", "limit", "offset", "withTotal", "asOf"} {
		if almost(strings.ToLower(field), strings.ToLower(own)) {
			return badQuery(name, "is no parameter and no declared field of "+t.Name+"; did you mean "+own+`? A field of this name is found with filter={"`+field+`":…}`)
		}
	}
	return nil
}

// elsewhere gives what does here what a parameter of this name does in other
// APIs, "" for a name that means nothing there.
func elsewhere(name string) string {
	switch strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name)) {
	case "page", "pagenumber", "skip":
		return "offset or the answer's cursor"
	case "pagetoken", "nexttoken", "nextcursor", "startingafter", "endingbefore":
		return "the answer's cursor as cursor"
	case "perpage", "pagesize", "maxresults":
		return "the answer's cursor as cursor, or offset"
	}
	return ""
}

// almost says whether a is b with one letter left out, doubled or exchanged
// with its neighbour, or, where b is long enough for that to mean something,
// with one letter wrong or too many.
func almost(a, b string) bool {
	const long = 5
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	switch rest := len(b) - at; {
	case a == b:
		return true // but for capitals
	case len(a) == len(b)-1:
		return a[at:] == b[at+1:]
	case len(a) == len(b)+1:
		return a[at+1:] == b[at:] && (len(b) >= long || at > 0 && a[at] == a[at-1])
	case len(a) != len(b):
		return false
	case rest > 1 && a[at] == b[at+1] && a[at+1] == b[at] && a[at+2:] == b[at+2:]:
		return true
	default:
		return len(b) >= long && a[at+1:] == b[at+1:]
	}
}

// list reads a comma-separated list.
func list(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// condition adds a parameter to a filter: name=value, name[$op]=value.
func condition(t *graph.Type, filter map[string]any, name string, values []string) error {
	field, op, bracketed := strings.Cut(name, "[")
	if bracketed {
		op = "$" + strings.TrimPrefix(strings.TrimSuffix(op, "]"), "$")
	}
	f := t.Field(field)
	var cond any
	switch {
	case op == "$in" || op == "$nin":
		var all []any
		for _, v := range values {
			for _, part := range list(v) {
				all = append(all, candidates(f, part)...)
			}
		}
		cond = map[string]any{op: all}
	case op == "$exists":
		want, err := strconv.ParseBool(values[len(values)-1])
		if err != nil {
			return badQuery(name, "$exists wants true or false")
		}
		cond = map[string]any{op: want}
	case op != "" && op != "$eq" && op != "$ne":
		cond = map[string]any{op: single(f, values[len(values)-1])}
	default:
		var all []any
		for _, v := range values {
			all = append(all, candidates(f, v)...)
		}
		if op == "$ne" {
			cond = map[string]any{"$nin": all}
		} else {
			cond = map[string]any{"$in": all}
		}
	}
	and, _ := filter["$and"].([]any)
	filter["$and"] = append(slices.Clip(and), map[string]any{field: cond})
	return nil
}

// candidates are what a parameter's text may stand for: what the field is
// declared as, and for a field that no declaration knows the text and the
// number or truth value that it looks like.
func candidates(f *graph.Field, text string) []any {
	if f != nil && f.Kind != graph.KindJSON {
		return []any{single(f, text)}
	}
	out := []any{text}
	if v := literal(text); v != nil {
		out = append(out, v)
	}
	return out
}

func single(f *graph.Field, text string) any {
	switch {
	case f == nil || f.Kind == graph.KindJSON:
		if v := literal(text); v != nil {
			return v
		}
	case f.Kind == graph.KindInt, f.Kind == graph.KindNumber, f.Kind == graph.KindBool:
		if v := literal(text); v != nil {
			return v
		}
	}
	return text
}

// literal is the number or truth value that a text looks like, nil if none.
func literal(text string) any {
	switch text {
	case "true":
		return true
	case "false":
		return false
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil && json.Valid([]byte(text)) {
		return json.Number(text)
	}
	return nil
}

// ParseAsOf reads a moment as every face writes it: RFC 3339, a date, or an
// event's seq.
func ParseAsOf(s string) (graph.AsOf, error) { return asOf(s) }

// asOf reads a moment: RFC 3339, a date, or an event's seq.
func asOf(s string) (graph.AsOf, error) {
	if n, err := strconv.ParseUint(s, 10, 63); err == nil && n > 0 {
		return graph.AsOf{Seq: n}, nil
	}
	s = strings.Replace(s, " ", "+", 1) // an offset's plus that was not encoded
	for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return graph.AsOf{Time: t}, nil
		}
	}
	return graph.AsOf{}, badQuery("asOf", "must be a time such as 2025-09-15T14:32:00Z, or an event's seq")
}

// getQuery reads what a single entity's URL may ask for.
func getQuery(v url.Values) (q graph.Query, err error) {
	for _, name := range []string{"include", "fields", "asOf"} {
		if s := v.Get(name); s != "" {
			if _, err := reserved(&q, name, s); err != nil {
				return q, err
			}
		}
	}
	return q, nil
}

// bodyQuery reads a query from the body of find or count.
func (r resource) bodyQuery() (graph.Query, error) {
	var in struct {
		Filter  map[string]any `json:"filter"`
		Sort    texts          `json:"sort"`
		Limit   *int           `json:"limit"`
		Offset  int            `json:"offset"`
		Cursor  string         `json:"cursor"`
		Include texts          `json:"include"`
		Fields  texts          `json:"fields"`
		AsOf    string         `json:"asOf"`
		Total   *bool          `json:"withTotal"`
	}
	q := graph.Query{Type: r.typ.Name}
	raw, err := io.ReadAll(r.r.Body)
	if err != nil {
		return q, &graph.Error{Code: graph.CodeTooLarge, Field: "body", Message: "the body is too large"}
	}
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := strict(raw, &in); err != nil {
			return q, &graph.Error{Code: graph.CodeInvalidJSON, Field: "body", Message: "the body must be an object with filter, sort, limit, offset, cursor, include, fields, asOf, withTotal: " + err.Error()}
		}
	}
	q.Filter, q.Sort, q.Offset, q.Cursor, q.Include, q.Fields = in.Filter, in.Sort, in.Offset, in.Cursor, in.Include, in.Fields
	if in.Limit != nil {
		if q.Limit = *in.Limit; q.Limit < 1 {
			return q, badQuery("limit", "must be 1 to "+strconv.Itoa(graph.MaxLimit))
		}
	}
	if in.AsOf != "" {
		q.AsOf, err = asOf(in.AsOf)
	}
	q.NoTotal = in.Total != nil && !*in.Total
	return q, err
}

// texts is a list of texts, or one with commas.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = list(one)
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// strict decodes JSON that holds nothing but what v knows, numbers as written.
func strict(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows it")
	}
	return nil
}
