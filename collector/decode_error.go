package collector

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sort"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/jsontext"
)

// exception reads one exception or a chain of them into ErrorStack, always as
// an array, the thrown one first.
func (d *decoder) exception(v *fastjson.Value, key string) *headlessly.FieldError {
	e := &d.event
	switch v.Type() {
	case fastjson.TypeNull:
		return nil
	case fastjson.TypeObject:
		if values := v.GetArray("values"); values != nil { // Sentry's form: causes first
			return d.sentryChain(values, key)
		}
		e.ErrorStack = "[" + string(jsontext.Value(v)) + "]"
		d.thrown(v)
		return nil
	case fastjson.TypeArray:
		chain := v.GetArray()
		for _, x := range chain {
			if x.Type() != fastjson.TypeObject {
				return wrongType(key, "an object or an array of objects", x)
			}
		}
		if len(chain) > 0 {
			e.ErrorStack = d.json(v)
			d.thrown(chain[0])
		}
		return nil
	default:
		return wrongType(key, "an object or an array of objects", v)
	}
}

func (d *decoder) sentryChain(values []*fastjson.Value, key string) *headlessly.FieldError {
	b := []byte{'['}
	for i := len(values) - 1; i >= 0; i-- {
		if values[i].Type() != fastjson.TypeObject {
			return wrongType(key+".values", "an array of objects", values[i])
		}
		b = jsontext.AppendValue(b, values[i])
		if i > 0 {
			b = append(b, ',')
		}
	}
	if len(values) > 0 {
		d.event.ErrorStack = string(append(b, ']'))
		d.thrown(values[len(values)-1])
	}
	return nil
}

func (d *decoder) thrown(v *fastjson.Value) {
	lookString(&d.event.ErrorType, v.Get("type"), headlessly.MaxEventBytes)
	lookString(&d.event.ErrorMessage, v.Get("value"), headlessly.MaxEventBytes)
	lookString(&d.event.ErrorMessage, v.Get("message"), headlessly.MaxEventBytes)
}

func (d *decoder) fingerprint(v *fastjson.Value) *headlessly.FieldError {
	if v.Type() != fastjson.TypeArray {
		return text(&d.event.Fingerprint, v, "fingerprint", headlessly.MaxEventBytes)
	}
	parts := make([]string, 0, len(v.GetArray()))
	for _, p := range v.GetArray() {
		if p.Type() != fastjson.TypeString {
			return wrongType("fingerprint", "a string or an array of strings", p)
		}
		parts = append(parts, string(p.GetStringBytes()))
	}
	d.event.Fingerprint = strings.Join(parts, "|")
	return nil
}

// errorColumns completes an error or a message.
func (d *decoder) errorColumns() {
	e := &d.event
	if e.ErrorMessage == "" {
		e.ErrorMessage = d.message
	}
	if e.Level == "" {
		e.Level = "error"
		if e.Type == headlessly.TypeMessage {
			e.Level = "info"
		}
	}
	if e.Fingerprint == "" {
		e.Fingerprint = d.group()
	}
}

// groupFrames is how many of the innermost frames tell one error from
// another: few enough that a shared caller does not split a group.
const groupFrames = 5

// group is the fingerprint of an error whose sender gave none: its type and
// innermost frames, or its message where there is no stack.
func (d *decoder) group() string {
	e := &d.event
	h := sha256.New()
	write := func(s string) { _, _ = h.Write([]byte(s + "\x00")) }
	write(e.ErrorType)
	frames := 0
	if e.ErrorStack != "" {
		var p fastjson.Parser
		if v, err := p.Parse(e.ErrorStack); err == nil {
			st := v.Get("0", "stacktrace")
			list := st.GetArray()
			if list == nil { // Sentry's form: the innermost frame last
				list = st.GetArray("frames")
				slices.Reverse(list)
			}
			for _, f := range list[:min(groupFrames, len(list))] {
				write(string(f.GetStringBytes("filename")))
				write(string(f.GetStringBytes("function")))
				frames++
			}
		}
	}
	if frames == 0 {
		write(e.ErrorMessage)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// vital reads a web vital from its properties, or from PostHog's names.
func (d *decoder) vital() {
	e := &d.event
	if d.props == nil {
		return
	}
	lookString(&e.VitalName, d.props.Get("name"), headlessly.MaxNameBytes)
	lookString(&e.VitalName, d.props.Get("metric"), headlessly.MaxNameBytes)
	lookString(&e.VitalRating, d.props.Get("rating"), headlessly.MaxNameBytes)
	if f, ok := number(d.props.Get("value")); ok {
		e.VitalValue = f
	}
}

// revenue reads the money of an event: properties.revenue, or the total of a
// completed order.
func (d *decoder) revenue() {
	e := &d.event
	v := d.props.Get("revenue")
	if v == nil && (e.Event == "Order Completed" || e.Event == "purchase") {
		if v = d.props.Get("total"); v == nil {
			v = d.props.Get("value")
		}
	}
	if v == nil {
		return
	}
	if e.RevenueE4, e.HasRevenue = revenueE4(v); e.HasRevenue {
		var c string
		if lookString(&c, d.props.Get("currency"), 3) && len(c) == 3 {
			e.Currency = strings.ToUpper(c)
		}
	}
}

// consentList writes an object of categories as "analytics:granted,…" in
// alphabetical order.
func consentList(o *fastjson.Object) string {
	parts := make([]string, 0, o.Len())
	o.Visit(func(k []byte, v *fastjson.Value) {
		granted := v.Type() == fastjson.TypeTrue || view(v.GetStringBytes()) == "granted"
		state := ":denied"
		if granted {
			state = ":granted"
		}
		parts = append(parts, string(k)+state)
	})
	sort.Strings(parts)
	return strings.Join(parts, ",")
}
