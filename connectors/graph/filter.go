package graph

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Limits of a filter.
const (
	maxFilterDepth = 16
	maxFilterTerms = 500
	maxPattern     = 512
)

// operators are what a field's condition may hold.
func operators() []string {
	return []string{"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$regex", "$not"}
}

// compiler turns a filter into SQL. Values only ever travel as parameters, and
// names of fields as parameters or from the declaration.
type compiler struct {
	typ   *Type
	past  bool // over events, which have no columns for fields
	args  []any
	terms int
	few   bool // the filter names the values of a unique field
}

// where compiles a filter object.
func (c *compiler) where(filter map[string]any, depth int) (string, error) {
	if depth > maxFilterDepth {
		return "", badFilter("", "the filter is nested deeper than %d", maxFilterDepth)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(filter)) {
		sql, err := c.term(name, filter[name], depth)
		if err != nil {
			return "", err
		}
		parts = append(parts, sql)
	}
	return conjunction(parts, " and ", "1"), nil
}

func conjunction(parts []string, word, empty string) string {
	switch len(parts) {
	case 0:
		return empty
	case 1:
		return parts[0]
	}
	return "(" + strings.Join(parts, word) + ")"
}

func (c *compiler) term(name string, v any, depth int) (string, error) {
	if c.terms++; c.terms > maxFilterTerms {
		return "", badFilter(name, "the filter has more than %d conditions", maxFilterTerms)
	}
	switch name {
	case "$and":
		return c.several(name, v, " and ", "1", depth)
	case "$or":
		return c.several(name, v, " or ", "0", depth)
	case "$not":
		inner, ok := v.(map[string]any)
		if !ok {
			return "", badFilter(name, "$not: want a filter object")
		}
		sql, err := c.where(inner, depth+1)
		return "not coalesce(" + sql + ", 0)", err
	}
	f, err := c.operand(name)
	if err != nil {
		return "", err
	}
	return c.condition(f, v, depth)
}

func (c *compiler) several(name string, v any, word, empty string, depth int) (string, error) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return "", badFilter(name, "%s: want a list of filters", name)
	}
	var parts []string
	for _, e := range list {
		inner, ok := e.(map[string]any)
		if !ok {
			return "", badFilter(name, "%s: want a list of filter objects", name)
		}
		sql, err := c.where(inner, depth+1)
		if err != nil {
			return "", err
		}
		parts = append(parts, sql)
	}
	return conjunction(parts, word, empty), nil
}

// operand is what a condition compares.
type operand struct {
	name   string
	column string // "" for a value inside the document
	path   string // its JSON path
	meta   bool
	time   bool // stored as µs
	field  *Field
	multi  bool // may be a list, whose elements count
}

// metaColumn gives the column of a meta field, and whether it holds a time.
func (c *compiler) metaColumn(name string) (column string, time, ok bool) {
	id, updated := "id", "updated_at"
	if c.past {
		id, updated = "target", "at"
	}
	switch name {
	case "$id":
		return id, false, true
	case "$version":
		return "version", false, true
	case "$createdAt":
		return "created_at", true, true
	case "$updatedAt":
		return updated, true, true
	case "$createdBy":
		return "created_by", false, true
	}
	return "", false, false
}

var pathPart = regexp.MustCompile(`^[^"\\\x00-\x1f]{1,128}$`)

func (c *compiler) operand(name string) (operand, error) {
	if column, time, ok := c.metaColumn(name); ok {
		return operand{name: name, column: column, meta: true, time: time}, nil
	}
	if name == "id" && c.typ.Field("id") == nil {
		return c.operand("$id")
	}
	if strings.HasPrefix(name, "$") {
		known := append([]string{"$and", "$or", "$not", "$id", "$version", "$createdAt", "$updatedAt", "$createdBy"}, operators()...)
		return operand{}, badFilter(name, "%s: unknown operator; known are %s", name, strings.Join(slices.Compact(slices.Sorted(slices.Values(known))), " "))
	}
	o := operand{name: name, field: c.typ.Field(name)}
	if f := o.field; f != nil && f.Indexed && !c.past && f.Stored() { // the common case, and a name that a declaration has checked
		o.column, o.path, o.multi = f.column(), `$."`+name+`"`, f.List || f.Kind == KindJSON
		return o, nil
	}
	for part := range strings.SplitSeq(name, ".") {
		if !pathPart.MatchString(part) {
			return o, badFilter(name, "%q is no field name", name)
		}
		o.path += `."` + part + `"`
	}
	o.path = "$" + o.path
	if f := o.field; f != nil {
		if !f.Stored() {
			return o, badFilter(name, "%s: is not stored, so it cannot be searched", name)
		}
		if f.Indexed && !c.past {
			o.column = f.column()
		}
		o.multi = f.List || f.Kind == KindJSON
	} else {
		o.multi = true
	}
	return o, nil
}

// condition compiles what a field must be: a value, or operators.
func (c *compiler) condition(o operand, v any, depth int) (string, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return c.compare(o, "$eq", v, depth)
	}
	var parts []string
	for _, op := range slices.Sorted(maps.Keys(m)) {
		sql, err := c.compare(o, op, m[op], depth)
		if err != nil {
			return "", err
		}
		parts = append(parts, sql)
	}
	if len(parts) == 0 {
		return "", badFilter(o.name, "%s: an empty object compares nothing; known operators are %s", o.name, strings.Join(operators(), " "))
	}
	return conjunction(parts, " and ", "1"), nil
}

func (c *compiler) compare(o operand, op string, v any, depth int) (string, error) {
	if c.terms++; c.terms > maxFilterTerms {
		return "", badFilter(o.name, "the filter has more than %d conditions", maxFilterTerms)
	}
	if depth > maxFilterDepth {
		return "", badFilter(o.name, "the filter is nested deeper than %d", maxFilterDepth)
	}
	switch op {
	case "$eq":
		return c.equals(o, []any{v})
	case "$ne":
		sql, err := c.equals(o, []any{v})
		return "not coalesce(" + sql + ", 0)", err
	case "$in", "$nin":
		list, ok := v.([]any)
		if !ok {
			return "", badFilter(o.name, "%s: %s wants a list", o.name, op)
		}
		sql, err := c.equals(o, list)
		if op == "$nin" {
			sql = "not coalesce(" + sql + ", 0)"
		}
		return sql, err
	case "$gt", "$gte", "$lt", "$lte":
		return c.order(o, op, v)
	case "$exists":
		want, ok := v.(bool)
		if !ok {
			return "", badFilter(o.name, "%s: $exists wants true or false", o.name)
		}
		if want {
			return c.value(o) + " is not null", nil
		}
		return c.value(o) + " is null", nil
	case "$regex":
		return c.matches(o, v)
	case "$not":
		sql, err := c.condition(o, v, depth+1)
		return "not coalesce(" + sql + ", 0)", err
	}
	return "", badFilter(o.name, "%s: unknown operator %q; known are %s", o.name, op, strings.Join(operators(), " "))
}

// value is the SQL of the operand itself. A list or an object is its text.
func (c *compiler) value(o operand) string {
	if o.column != "" {
		return o.column
	}
	c.args = append(c.args, o.path)
	return "json_extract(doc, ?)"
}

// each wraps a condition on one value so that it holds for a value, or for one
// element of a list. The condition names the value j.value and its type j.type.
func (c *compiler) each(o operand, condition string, args []any) string {
	if o.column != "" {
		c.args = append(c.args, args...)
		return strings.ReplaceAll(strings.ReplaceAll(condition, "j.type", "typeof("+o.column+")"), "j.value", o.column)
	}
	c.args = append(append(c.args, o.path, o.path), args...)
	return "(json_type(doc, ?) is not 'object' and exists (select 1 from json_each(doc, ?) j where " + condition + "))"
}

// equals holds when the operand is one of the values.
func (c *compiler) equals(o operand, values []any) (string, error) {
	values = c.grouped(o, values)
	var parts []string
	var numbers, texts []any
	for _, v := range values {
		v, err := c.constant(o, v)
		if err != nil {
			return "", err
		}
		switch v := v.(type) {
		case nil:
			parts = append(parts, c.value(o)+" is null")
		case bool:
			parts = append(parts, c.truth(o, v))
		case string:
			texts = append(texts, v)
		case int64, float64:
			numbers = append(numbers, v)
		}
	}
	if len(texts) > 0 {
		parts = append(parts, c.each(o, "(j.type = 'text' and j.value in ("+marks(len(texts))+"))", texts))
	}
	if len(numbers) > 0 {
		parts = append(parts, c.each(o, "(j.type in ('integer', 'real') and j.value in ("+marks(len(numbers))+"))", numbers))
	}
	if o.column != "" { // a column has one kind of value, and its index helps only without the type
		for i := range parts {
			parts[i] = bare(parts[i], o.column)
		}
	}
	return conjunction(parts, " or ", "0"), nil
}

// bare takes the test of the type off a comparison with a column.
func bare(sql, column string) string {
	sql = strings.Replace(sql, "typeof("+column+") = 'text' and ", "", 1)
	return strings.Replace(sql, "typeof("+column+") in ('integer', 'real') and ", "", 1)
}

func (c *compiler) truth(o operand, v bool) string {
	if o.column != "" {
		n := int64(0)
		if v {
			n = 1
		}
		c.args = append(c.args, n)
		return o.column + " = ?"
	}
	return c.each(o, fmt.Sprintf("j.type = '%t'", v), nil)
}

// grouped replaces the name of a group by its values: an Active integration is
// every one that is connected and healthy.
func (c *compiler) grouped(o operand, values []any) []any {
	groups := c.typ.Groups[o.name]
	if len(groups) == 0 {
		return values
	}
	var out []any
	for _, v := range values {
		s, _ := v.(string)
		members, ok := groups[s]
		if !ok {
			out = append(out, v)
		}
		for _, m := range members {
			out = append(out, m)
		}
	}
	return out
}

// order compares with a bound. Numbers compare with numbers, texts with texts.
func (c *compiler) order(o operand, op string, v any) (string, error) {
	v, err := c.constant(o, v)
	if err != nil {
		return "", err
	}
	sign := map[string]string{"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}[op]
	switch v.(type) {
	case string:
		return c.each(o, "(j.type = 'text' and j.value "+sign+" ?)", []any{v}), nil
	case int64, float64:
		return c.each(o, "(j.type in ('integer', 'real') and j.value "+sign+" ?)", []any{v}), nil
	}
	return "", badFilter(o.name, "%s: %s compares with a number, a text or a time", o.name, op)
}

func (c *compiler) matches(o operand, v any) (string, error) {
	pattern, ok := v.(string)
	if !ok || len(pattern) > maxPattern {
		return "", badFilter(o.name, "%s: $regex wants a text of up to %d characters", o.name, maxPattern)
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return "", badFilter(o.name, "%s: $regex: %v", o.name, err)
	}
	return c.each(o, "(j.type = 'text' and "+regexpFunc+"(?, j.value))", []any{pattern}), nil
}

// constant checks a filter's value and gives the form that SQL compares with.
func (c *compiler) constant(o operand, v any) (any, error) {
	switch v := v.(type) {
	case nil, bool:
		return v, nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, badFilter(o.name, "%s: the number is out of range", o.name)
		}
		return f, nil
	case string:
		if !o.time && (o.field == nil || o.field.Kind != KindTime) {
			return v, nil
		}
		canonical, err := parseTime(v)
		if err != nil {
			return nil, badFilter(o.name, "%s: want a time such as 2025-09-15T14:32:00Z, or a date", o.name)
		}
		if o.time {
			return microseconds(canonical), nil
		}
		return canonical, nil
	}
	return nil, badFilter(o.name, "%s: compares with a number, a text, true, false or null; for parts of an object use a dotted name", o.name)
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }
