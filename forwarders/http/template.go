package http

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/headlessly/headlessly/forwarders/payload"
)

// template is text with placeholders: parts and the paths between them.
type template struct {
	parts []string // one more than paths
	paths []string
}

func parse(text string) (template, error) {
	var t template
	for {
		before, rest, found := strings.Cut(text, "{{")
		t.parts = append(t.parts, before)
		if !found {
			return t, nil
		}
		path, after, closed := strings.Cut(rest, "}}")
		path = strings.TrimSpace(path)
		if !closed || path == "" || strings.ContainsAny(path, "{} \n") {
			return t, fmt.Errorf("placeholder %d is not of the form {{name}}", len(t.paths)+1)
		}
		t.paths = append(t.paths, path)
		text = after
	}
}

// fill puts values into the places, each as the given form makes it.
func (t template) fill(doc map[string]any, form func(v any) string) string {
	var b strings.Builder
	for i, part := range t.parts {
		b.WriteString(part)
		if i < len(t.paths) {
			b.WriteString(form(lookup(doc, t.paths[i])))
		}
	}
	return b.String()
}

// lookup finds a value by its path; "." is everything.
func lookup(doc map[string]any, path string) any {
	if path == "." {
		return doc
	}
	head, rest, more := strings.Cut(path, ".")
	v := doc[head]
	for more {
		raw, ok := v.(json.RawMessage)
		if !ok {
			return nil
		}
		head, rest, more = strings.Cut(rest, ".")
		member, ok := payload.Object(string(raw))[head]
		if !ok {
			return nil
		}
		v = member
	}
	return v
}

// asJSON is a value in a body.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(b)
}

// asText is a value in plain text: strings as they are.
func asText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.RawMessage:
		return payload.Scalar(v)
	}
	return asJSON(v)
}

// inURL is a value in a URL.
func inURL(v any) string { return url.QueryEscape(asText(v)) }

// inHeader is a value in a header, without what a header cannot hold.
func inHeader(v any) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, asText(v))
}

// fixedHost says whether a URL's host stands before the first placeholder, so
// that no event can choose where it goes.
func (t template) fixedHost() bool {
	_, rest, ok := strings.Cut(t.parts[0], "://")
	return ok && (len(t.paths) == 0 || strings.ContainsAny(rest, "/?"))
}
