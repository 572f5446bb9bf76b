package graph

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Query chooses entities of one type.
type Query struct {
	Type   string
	Filter map[string]any // Mongo's form: {"status":"Active","value":{"$gt":100}}
	// Sort lists fields, each with - before it for falling order; the default
	// is the newest first. Entities that are equal follow by $id.
	Sort    []string
	Limit   int    // 1 to 100, 25 unless set
	Offset  int    // entities to pass over; not together with Cursor
	Cursor  string // from the answer before; the other parts must be the same
	Include []string
	Fields  []string // the entity's own fields to show; all unless set
	AsOf    AsOf
	NoTotal bool // leave Total out, which costs a count
}

// Page is the answer to a query.
type Page struct {
	Results []*Entity `json:"results"`
	Total   int64     `json:"total"`
	HasMore bool      `json:"hasMore"`
	Cursor  string    `json:"cursor,omitempty"` // for the next page
}

// Limits of a query.
const (
	MaxLimit = 100
	maxSort  = 8
)

// sortKey is one part of the order.
type sortKey struct {
	operand operand
	desc    bool
}

// known gives the key's value from an entity that has been read, nil where it
// must be selected.
func (k sortKey) known() func(*Entity) any {
	switch k.operand.name {
	case "$createdAt":
		return func(e *Entity) any { return e.CreatedAt }
	case "$updatedAt":
		return func(e *Entity) any { return e.UpdatedAt }
	case "$version":
		return func(e *Entity) any { return e.Version }
	}
	return nil
}

// Find reads a page of entities.
func (sc *Scope) Find(ctx context.Context, q Query) (*Page, error) {
	t, err := sc.store.types.Lookup(q.Type)
	if err != nil {
		return nil, err
	}
	c, keys, where, err := compileQuery(t, &q)
	if err != nil {
		return nil, err
	}
	if q.seeks(t) { // a moment's work, for which a context that can end costs two goroutines
		ctx = context.WithoutCancel(ctx)
	}
	p, release := sc.store.view()
	defer release()
	number, err := p.tenantID(ctx, sc.tenant)
	if err != nil {
		return nil, err
	}
	page := &Page{Results: make([]*Entity, 0, q.Limit+1)}
	from, fromArgs, err := source(ctx, p, t, q.AsOf, number)
	if err != nil {
		return nil, err
	}
	filterArgs := slices.Concat(fromArgs, c.args)
	c.args = nil
	after, err := c.after(keys, q)
	if err != nil {
		return nil, err
	}
	args := slices.Concat(filterArgs, c.args)
	c.args = nil
	order, selected := c.orderBy(keys)
	known := keys[0].known()
	if known != nil && len(keys) == 1 { // the entity has the sort key anyway
		selected, keys = extra{}, nil
	} else {
		known = nil
	}
	args = slices.Concat(c.args[:len(selected.args)], args, c.args[len(selected.args):])
	args = append(args, q.Limit+1, q.Offset)
	var cursors [][]any
	dest := make([]any, 0, 7+maxSort)
	blank := sc.store.blank(sc.tenant, t)
	err = p.scan(ctx, func(r *sql.Rows) error {
		e := blank
		dest := append(dest[:0], &e.ID, &e.Seq, &e.Version, &e.CreatedAt, &e.UpdatedAt, &e.CreatedBy, (*[]byte)(&e.doc))
		var values []any
		if len(keys) > 0 {
			values = make([]any, len(keys), len(keys)+1)
		}
		for i := range values {
			dest = append(dest, &values[i])
		}
		if err := r.Scan(dest...); err != nil {
			return err
		}
		e.only = q.Fields
		page.Results = append(page.Results, &e)
		if known == nil {
			cursors = append(cursors, append(values, e.ID))
		}
		return nil
	}, "select "+entityColumns(c.past)+selected.sql+" from "+from+" and "+where+after+" order by "+order+" limit ? offset ?", args...)
	if err != nil {
		return nil, err
	}
	if len(page.Results) > q.Limit {
		page.Results, page.HasMore = page.Results[:q.Limit], true
		last := page.Results[q.Limit-1]
		if known != nil {
			page.Cursor = writeCursor(q, []any{known(last), last.ID})
		} else {
			page.Cursor = writeCursor(q, cursors[q.Limit-1])
		}
	}
	if q.Cursor == "" && q.Offset == 0 && !page.HasMore { // all of them are here
		page.Total = int64(len(page.Results))
	} else if !q.NoTotal {
		if err := p.scan(ctx, func(r *sql.Rows) error { return r.Scan(&page.Total) }, "select count(*) from "+from+" and "+where, filterArgs...); err != nil {
			return nil, err
		}
	}
	return page, sc.include(ctx, p, t, number, page.Results, q)
}

// Count counts the entities that a filter fits.
func (sc *Scope) Count(ctx context.Context, typ string, filter map[string]any, asOf AsOf) (int64, error) {
	page, err := sc.Find(ctx, Query{Type: typ, Filter: filter, AsOf: asOf, Limit: 1})
	if err != nil {
		return 0, err
	}
	return page.Total, nil
}

// seeks says whether an index leads straight to the entities: each condition is
// that an indexed field has a value, and the order is the index's own.
func (q *Query) seeks(t *Type) bool {
	if !q.AsOf.IsZero() || len(q.Sort) > 0 || len(q.Filter) == 0 {
		return false
	}
	for name, v := range q.Filter {
		f := t.fields[name]
		if f == nil || !slices.Contains(t.indexed, f) {
			return false
		}
		switch v.(type) {
		case string, bool, int, number:
		default:
			return false
		}
	}
	return true
}

func compileQuery(t *Type, q *Query) (c *compiler, keys []sortKey, where string, err error) {
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	switch {
	case q.Limit < 1 || q.Limit > MaxLimit:
		return nil, nil, "", badFilter("limit", "limit: %d, want 1 to %d", q.Limit, MaxLimit)
	case q.Offset < 0:
		return nil, nil, "", badFilter("offset", "offset: %d is negative", q.Offset)
	case q.Offset > 0 && q.Cursor != "":
		return nil, nil, "", badFilter("offset", "offset: a cursor says where to go on already; leave one of them out")
	}
	c = &compiler{typ: t, past: !q.AsOf.IsZero()}
	if keys, err = c.sortKeys(q.Sort); err != nil {
		return nil, nil, "", err
	}
	filter, err := plain(q.Filter)
	if err != nil {
		return nil, nil, "", badFilter("", "the filter: %v", err)
	}
	m, _ := filter.(map[string]any)
	c.few = !c.past && slices.ContainsFunc(slices.Collect(maps.Keys(m)), func(name string) bool { return picks(t.Field(name), m[name]) })
	where, err = c.where(m, 1)
	return c, keys, where, err
}

// picks says whether a condition leaves as many entities as it names values.
func picks(f *Field, v any) bool {
	if f == nil || !f.Unique {
		return false
	}
	m, ok := v.(map[string]any)
	if !ok {
		_, text := v.(string)
		return text
	}
	_, in := m["$in"]
	_, eq := m["$eq"].(string)
	return in || eq
}

func (c *compiler) sortKeys(sort []string) ([]sortKey, error) {
	if len(sort) == 0 {
		sort = []string{"-$createdAt"}
	}
	if len(sort) > maxSort {
		return nil, badFilter("sort", "sort: names more than %d fields", maxSort)
	}
	var keys []sortKey
	for _, s := range sort {
		name, desc := strings.CutPrefix(s, "-")
		if _, _, ok := c.metaColumn("$" + name); ok && c.typ.Field(name) == nil {
			name = "$" + name
		}
		o, err := c.operand(name)
		if err != nil {
			return nil, badFilter("sort", "sort: %q is nothing to sort by", s)
		}
		keys = append(keys, sortKey{o, desc})
	}
	return keys, nil
}

// source is the SQL of the rows that a query looks at: the living entities, or
// the last event of each up to a moment.
func source(ctx context.Context, p *projection, t *Type, asOf AsOf, tenant int64) (from string, args []any, err error) {
	if asOf.IsZero() {
		return t.table() + " where tenant = ?", []any{tenant}, nil
	}
	seq, err := p.seqAt(ctx, asOf)
	first := t.IDPrefix()
	return "events where seq in (select max(seq) from events where tenant = ? and target > ? and target < ? and seq <= ? group by target) and deleted = 0",
		[]any{tenant, first, strings.TrimSuffix(first, "_") + "`", bounded(seq)}, err
}

func entityColumns(past bool) string {
	if past {
		return "target, seq, version, created_at, at, created_by, doc"
	}
	return "id, seq, version, created_at, updated_at, created_by, doc"
}

// extra are the sort keys' values as selected columns.
type extra struct {
	sql  string
	args []any
}

// orderBy gives the order, and the keys as columns. The arguments of the
// columns come first in c.args.
func (c *compiler) orderBy(keys []sortKey) (order string, selected extra) {
	var parts []string
	plus := ""
	if c.few { // or SQLite walks through all entities in the order that is wanted
		plus = "+"
	}
	for _, k := range keys {
		before := len(c.args)
		selected.sql += ", " + c.value(k.operand)
		selected.args = append(selected.args, c.args[before:]...)
	}
	for _, k := range keys {
		parts = append(parts, plus+c.value(k.operand)+direction(k.desc))
	}
	return strings.Join(append(parts, plus+c.id()+direction(keys[len(keys)-1].desc)), ", "), selected
}

func (c *compiler) id() string {
	column, _, _ := c.metaColumn("$id")
	return column
}

func direction(desc bool) string {
	if desc {
		return " desc"
	}
	return ""
}

// after is the condition that a row comes behind the cursor's.
func (c *compiler) after(keys []sortKey, q Query) (string, error) {
	if q.Cursor == "" {
		return "", nil
	}
	values, err := readCursor(q, len(keys))
	if err != nil {
		return "", err
	}
	last := len(keys) - 1
	id, _ := values[last+1].(string)
	if len(keys) == 1 && keys[0].operand.meta { // never null: an index can seek it
		sign := ">"
		if keys[0].desc {
			sign = "<"
		}
		c.args = append(c.args, values[0], id)
		return " and (" + keys[0].operand.column + ", " + c.id() + ") " + sign + " (?, ?)", nil
	}
	return " and " + c.behind(keys, values, id), nil
}

// behind compares key by key: before the first that differs all are equal. Null
// sorts before everything.
func (c *compiler) behind(keys []sortKey, values []any, id string) string {
	k, v := keys[0], values[0]
	var strict string
	switch {
	case v == nil && k.desc:
		strict = "0"
	case v == nil:
		strict = c.value(k.operand) + " is not null"
	case k.desc:
		x := c.value(k.operand)
		c.args = append(c.args, v)
		strict = "(" + x + " < ? or " + c.value(k.operand) + " is null)"
	default:
		strict = c.value(k.operand) + " > ?"
		c.args = append(c.args, v)
	}
	same := c.value(k.operand) + " is ?"
	c.args = append(c.args, v)
	var rest string
	if len(keys) > 1 {
		rest = c.behind(keys[1:], values[1:], id)
	} else {
		sign := " > ?"
		if k.desc {
			sign = " < ?"
		}
		rest = c.id() + sign
		c.args = append(c.args, id)
	}
	return "(" + strict + " or (" + same + " and " + rest + "))"
}

// fingerprint ties a cursor to its query.
func (q Query) fingerprint() string {
	h := fnv.New64a()
	filter, _ := encode(q.Filter)
	_, _ = fmt.Fprintf(h, "%s|%s|%q|%d|%d", q.Type, filter, q.Sort, q.AsOf.Time.UnixMicro(), q.AsOf.Seq)
	return strconv.FormatUint(h.Sum64(), 36)
}

// writeCursor keeps the last row's sort keys and id.
func writeCursor(q Query, values []any) string {
	for i, v := range values {
		if b, ok := v.([]byte); ok {
			values[i] = string(b)
		}
	}
	raw, err := json.Marshal(append([]any{q.fingerprint()}, values...))
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func readCursor(q Query, keys int) ([]any, error) {
	bad := badFilter("cursor", "cursor: belongs to another query, or is damaged; start from the first page")
	raw, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil {
		return nil, bad
	}
	var values []any
	if err := unmarshal(raw, &values); err != nil || len(values) != keys+2 || values[0] != q.fingerprint() {
		return nil, bad
	}
	for i, v := range values {
		if n, ok := v.(json.Number); ok {
			if whole, err := n.Int64(); err == nil {
				values[i] = whole
				continue
			}
			if values[i], err = n.Float64(); err != nil {
				return nil, bad
			}
		}
	}
	return values[1:], nil
}
