package payload

import (
	"math"
	"strconv"

	"github.com/valyala/fastjson"
)

// Props are the members of a JSON object, parsed. The zero value has none.
type Props struct{ o *fastjson.Object }

// Parser parses objects and keeps its memory; what it gave is valid until it
// parses again. The zero value is ready. Not safe for concurrent use.
type Parser struct{ p fastjson.Parser }

// Props parses a JSON object; anything else has no members.
func (p *Parser) Props(text string) Props {
	if len(text) < 3 || text[0] != '{' {
		return Props{}
	}
	v, err := p.p.Parse(text)
	if err != nil {
		return Props{}
	}
	o, err := v.Object()
	if err != nil {
		return Props{}
	}
	return Props{o}
}

// Of takes a value apart that is an object.
func Of(v *fastjson.Value) Props { return Props{v.GetObject()} }

// Get gives a member, nil for none.
func (p Props) Get(key string) *fastjson.Value {
	if p.o == nil {
		return nil
	}
	return p.o.Get(key)
}

// Len is how many members there are.
func (p Props) Len() int {
	if p.o == nil {
		return 0
	}
	return p.o.Len()
}

// Each calls f for each member, in the order of the text.
func (p Props) Each(f func(key string, v *fastjson.Value)) {
	if p.o != nil {
		p.o.Visit(func(key []byte, v *fastjson.Value) { f(string(key), v) })
	}
}

// Text gives the first of the members that is a text or a number, as text.
func (p Props) Text(keys ...string) string {
	for _, key := range keys {
		v := p.Get(key)
		if v == nil {
			continue
		}
		switch v.Type() {
		case fastjson.TypeString:
			if b := v.GetStringBytes(); len(b) > 0 {
				return string(b)
			}
		case fastjson.TypeNumber:
			return v.String()
		}
	}
	return ""
}

// Number gives the first of the members that is a number, or a text that is
// one.
func (p Props) Number(keys ...string) (float64, bool) {
	for _, key := range keys {
		if f, err := strconv.ParseFloat(p.Text(key), 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f, true
		}
	}
	return 0, false
}

// Flat says whether a value is a text, a number or a truth value.
func Flat(v *fastjson.Value) bool {
	if v == nil {
		return false
	}
	switch v.Type() {
	case fastjson.TypeString, fastjson.TypeNumber, fastjson.TypeTrue, fastjson.TypeFalse:
		return true
	}
	return false
}
