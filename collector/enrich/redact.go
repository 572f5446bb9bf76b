package enrich

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/jsontext"
)

// Rules say what a tenant does not want to store. Names are matched without
// regard to case.
type Rules struct {
	// Query names parameters of addresses whose values are taken out of url,
	// query and referrer, and the columns made from them.
	Query []string
	// Properties names keys whose values are taken out of properties, traits
	// and context, at any depth.
	Properties []string
	// Patterns are regular expressions (RE2); what they match is taken out of
	// every text but ids.
	Patterns []string
}

// Redaction is compiled Rules. The nil Redaction does nothing. Safe for
// concurrent use.
type Redaction struct {
	query, properties map[string]bool
	patterns          []*regexp.Regexp
	parsers           fastjson.ParserPool
}

// redacted stands where something was taken out.
const redacted = "redacted"

// Compile makes a Redaction, nil for no rules.
func Compile(r Rules) (*Redaction, error) {
	if len(r.Query)+len(r.Properties)+len(r.Patterns) == 0 {
		return nil, nil //nolint:nilnil // nil is a Redaction that does nothing
	}
	out := &Redaction{query: lower(r.Query), properties: lower(r.Properties)}
	for i, p := range r.Patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("redaction pattern %d: %w", i, err)
		}
		out.patterns = append(out.patterns, re)
	}
	return out, nil
}

func lower(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[strings.ToLower(n)] = true
	}
	return m
}

// Event takes out of an event what the rules name.
func (r *Redaction) Event(e *headlessly.Event) {
	if r == nil {
		return
	}
	if len(r.query) > 0 {
		e.URL, e.Referrer = r.address(e.URL), r.address(e.Referrer)
		e.Query = r.parameters(e.Query)
		r.columns(e)
	}
	if len(r.patterns) > 0 {
		for _, p := range [...]*string{
			&e.Event, &e.URL, &e.Path, &e.Query, &e.Title, &e.Referrer, &e.UTMSource, &e.UTMMedium, &e.UTMCampaign, &e.UTMTerm, &e.UTMContent,
			&e.UserAgent, &e.ErrorType, &e.ErrorMessage, &e.Fingerprint,
		} {
			*p = r.text(*p)
		}
		e.ErrorStack = r.json(e.ErrorStack)
	}
	if len(r.patterns)+len(r.properties) > 0 {
		e.Properties, e.Traits, e.Context = r.json(e.Properties), r.json(e.Traits), r.json(e.Context)
	}
}

// text takes what the patterns match out of a text.
func (r *Redaction) text(s string) string {
	for _, p := range r.patterns {
		if s != "" && p.MatchString(s) {
			s = p.ReplaceAllLiteralString(s, redacted)
		}
	}
	return s
}

// address takes parameters out of a URL and leaves the rest as it is written.
func (r *Redaction) address(s string) string {
	base, rest, ok := strings.Cut(s, "?")
	if !ok {
		return s
	}
	query, fragment, hasFragment := strings.Cut(rest, "#")
	s = base + "?" + r.parameters(query)
	if hasFragment {
		s += "#" + fragment
	}
	return s
}

func (r *Redaction) parameters(query string) string {
	if query == "" {
		return ""
	}
	var b strings.Builder
	for i, pair := range strings.Split(query, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		key, value, _ := strings.Cut(pair, "=")
		name := key
		if n, err := url.QueryUnescape(key); err == nil {
			name = n
		}
		if value == "" || !r.query[strings.ToLower(name)] {
			b.WriteString(pair)
			continue
		}
		b.WriteString(key + "=" + redacted)
	}
	return b.String()
}

// columns empties what was read from a parameter that is not wanted.
func (r *Redaction) columns(e *headlessly.Event) {
	for name := range r.query {
		if dst := utmField(e, name); dst != nil {
			*dst = ""
		}
	}
	if r.query[e.ClickIDKind] {
		e.ClickID, e.ClickIDKind = "", ""
	}
}

// json takes values out of a JSON text. A text that is not JSON, which no
// column holds, is dropped.
func (r *Redaction) json(s string) string {
	if s == "" {
		return ""
	}
	p := r.parsers.Get()
	defer r.parsers.Put(p)
	v, err := p.Parse(s)
	if err != nil {
		return ""
	}
	var a fastjson.Arena
	if v, changed := r.value(&a, v); changed {
		return string(jsontext.Value(v))
	}
	return s
}

func (r *Redaction) value(a *fastjson.Arena, v *fastjson.Value) (*fastjson.Value, bool) {
	switch v.Type() {
	case fastjson.TypeString:
		was := string(v.GetStringBytes())
		if now := r.text(was); now != was {
			return a.NewString(now), true
		}
	case fastjson.TypeArray:
		changed := false
		for i, x := range v.GetArray() {
			if n, c := r.value(a, x); c {
				v.SetArrayItem(i, n)
				changed = true
			}
		}
		return v, changed
	case fastjson.TypeObject:
		return v, r.object(a, v)
	}
	return v, false
}

func (r *Redaction) object(a *fastjson.Arena, v *fastjson.Value) bool {
	o := v.GetObject()
	type change struct {
		key string
		v   *fastjson.Value
	}
	var changes []change
	same := true
	o.Visit(func(k []byte, x *fastjson.Value) {
		if r.properties[strings.ToLower(string(k))] {
			changes = append(changes, change{string(k), a.NewString("[" + redacted + "]")})
			return
		}
		if n, c := r.value(a, x); c {
			same = false
			if n != x {
				changes = append(changes, change{string(k), n})
			}
		}
	})
	for _, c := range changes {
		o.Set(c.key, c.v)
	}
	return !same || len(changes) > 0
}
