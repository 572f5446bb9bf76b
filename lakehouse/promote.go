package lakehouse

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/apache/iceberg-go"
	"github.com/valyala/fastjson"
)

// Promotion makes a column of the events table out of a property, so that
// queries need not read JSON. The property stays in its JSON column as well:
// there is nothing to lose. A value that does not fit the column's type is null
// there and counted ([Lake.Conflicts]); it never stops the writer. Rows from
// before the promotion are null.
type Promotion struct {
	Property string // its name; dots go into objects: "cart.total"
	From     string // "properties" (the default), "traits" or "context"
	Column   string // default is the property in snake case: "cart_total"
	// Type is "string", "long", "double", "boolean" or "timestamp". A string
	// takes numbers and truth values as their text, a double whole numbers, a
	// timestamp RFC 3339 alone.
	Type string
}

// promotedTypes are the types of a promoted column.
var promotedTypes = map[string]iceberg.Type{
	"string": iceberg.PrimitiveTypes.String, "long": iceberg.PrimitiveTypes.Int64, "double": iceberg.PrimitiveTypes.Float64,
	"boolean": iceberg.PrimitiveTypes.Bool, "timestamp": iceberg.PrimitiveTypes.TimestampTz,
}

// columnName is what a promoted column may be called.
var columnName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func (p Promotion) withDefaults() Promotion {
	setDefault(&p.From, "properties")
	setDefault(&p.Column, snake(p.Property))
	return p
}

// snake turns "cart.itemCount" into "cart_item_count".
func snake(s string) string {
	var b strings.Builder
	lower := false
	for _, r := range s {
		switch {
		case unicode.IsUpper(r):
			if lower {
				b.WriteByte('_')
			}
			b.WriteRune(unicode.ToLower(r))
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
	}
	return strings.Trim(b.String(), "_")
}

// validatePromotions reports every fault.
func validatePromotions(all []Promotion) (errs []error) {
	taken := map[string]string{}
	for _, c := range eventColumns() {
		taken[c.name] = "a column of every lake"
	}
	for i, p := range all {
		p = p.withDefaults()
		fault := func(field, format string, args ...any) {
			errs = append(errs, fmt.Errorf("lakehouse.promote[%d].%s: "+format, append([]any{i, field}, args...)...))
		}
		if p.Property == "" {
			fault("property", "is empty; name the property")
			continue
		}
		if promotedTypes[p.Type] == nil {
			fault("type", "%q is not one of string, long, double, boolean, timestamp", p.Type)
		}
		if p.From != "properties" && p.From != "traits" && p.From != "context" {
			fault("from", "%q is not one of properties, traits, context", p.From)
		}
		if !columnName.MatchString(p.Column) {
			fault("column", "%q must be lower-case letters, digits and underscores, with a letter first; choose one with column", p.Column)
		}
		if other := taken[p.Column]; other != "" {
			fault("column", "%q is %s; choose another with column", p.Column, other)
		}
		taken[p.Column] = fmt.Sprintf("that of promote[%d]", i)
	}
	return errs
}

// promoted is a promotion with the id that its column has in the table.
type promoted struct {
	Promotion
	id   int
	path []string
}

// promotedValue is a row's value of a promotion; ok is false for null.
type promotedValue struct {
	text string
	num  int64
	real float64
	flag bool
	ok   bool
}

// column is the promotion as a column of the events table.
func (p promoted) column(at int) column[eventRow] {
	value := func(r *eventRow) *promotedValue { return &r.promoted[at] }
	var c column[eventRow]
	switch p.Type {
	case "long":
		c = long(p.id, p.Column, func(r *eventRow) (int64, bool) { return value(r).num, value(r).ok })
	case "double":
		c = double(p.id, p.Column, func(r *eventRow) (float64, bool) { return value(r).real, value(r).ok })
	case "boolean":
		c = maybe(p.id, p.Column, func(r *eventRow) (bool, bool) { return value(r).flag, value(r).ok })
	case "timestamp":
		c = instant(p.id, p.Column, func(r *eventRow) int64 { return value(r).num })
	default:
		c = text(p.id, p.Column, func(r *eventRow) string { return value(r).text })
	}
	return c.bounded()
}

// promote sets the row's promoted values, and counts those of another type.
func (r *eventRow) promote(all []promoted, parsers *fastjson.ParserPool) {
	if len(r.promoted) != len(all) {
		r.promoted, r.conflicts = make([]promotedValue, len(all)), make([]int64, len(all))
	}
	for _, source := range []struct{ name, json string }{{"properties", r.Properties}, {"traits", r.Traits}, {"context", r.Context}} {
		var doc *fastjson.Value
		var parser *fastjson.Parser
		for i := range all {
			if all[i].From != source.name {
				continue
			}
			r.promoted[i] = promotedValue{}
			if doc == nil && source.json != "" {
				parser = parsers.Get()
				if v, err := parser.Parse(source.json); err == nil {
					doc = v
				}
			}
			if doc == nil {
				continue
			}
			if v := doc.Get(all[i].path...); v != nil && v.Type() != fastjson.TypeNull {
				r.promoted[i] = convert(v, all[i].Type)
				if !r.promoted[i].ok {
					r.conflicts[i]++
				}
			}
		}
		if parser != nil {
			parsers.Put(parser)
		}
	}
}

// convert reads a JSON value as a column's type. What it keeps is a copy.
func convert(v *fastjson.Value, typ string) (out promotedValue) {
	kind := v.Type()
	switch {
	case typ == "string" && kind == fastjson.TypeString:
		out.text, out.ok = string(v.GetStringBytes()), true
	case typ == "string" && (kind == fastjson.TypeNumber || kind == fastjson.TypeTrue || kind == fastjson.TypeFalse):
		out.text, out.ok = v.String(), true
	case typ == "long" && kind == fastjson.TypeNumber:
		n, err := v.Int64()
		out.num, out.ok = n, err == nil
	case typ == "double" && kind == fastjson.TypeNumber:
		out.real = v.GetFloat64()
		out.ok = !math.IsInf(out.real, 0) // 1e999 would make every sum infinite
	case typ == "boolean" && (kind == fastjson.TypeTrue || kind == fastjson.TypeFalse):
		out.flag, out.ok = v.GetBool(), true
	case typ == "timestamp" && kind == fastjson.TypeString:
		if t, err := time.Parse(time.RFC3339Nano, string(v.GetStringBytes())); err == nil {
			us := t.UnixMicro()
			out.num, out.ok = us, us != 0 && us >= minTime && us <= maxTime
		}
	}
	return out
}

// Conflicts tells for each promoted column how many committed rows had a value
// of another type, which is in the JSON column alone. It counts from the start
// of the process.
func (l *Lake) Conflicts() map[string]int64 {
	out := map[string]int64{}
	for i, p := range l.promoted {
		out[p.Column] = l.conflicts[i].Load()
	}
	return out
}
