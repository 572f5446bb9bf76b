package graph

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
)

// maxIncluded bounds the entities that one field brings along.
const maxIncluded = 100

// leftOut is the field in which an entity tells, by field, how many of the
// entities that were to be included it does not show: a back reference goes on
// with a find, and of a list the ids are there.
const leftOut = "$leftOut"

// without notes that an entity leaves n of a field's entities out.
func (e *Entity) without(field string, n int64) {
	if n <= 0 {
		return
	}
	all, _ := e.more[leftOut].(map[string]any)
	if all == nil {
		all = map[string]any{}
		e.more[leftOut] = all
	}
	all[field] = n
}

// include puts referenced entities in place of their ids, one hop. A field that
// holds no id of a living entity keeps what it has.
func (sc *Scope) include(ctx context.Context, p *projection, t *Type, tenant int64, results []*Entity, q Query) error {
	for _, name := range q.Include {
		f := t.Field(name)
		if f != nil && !f.Stored() && f.Kind != KindBack {
			return badFilter("include", "include: %s is not stored", name)
		}
		for _, e := range results {
			if e.more == nil {
				e.more = map[string]any{}
			}
			var err error
			if f != nil && f.Kind == KindBack {
				err = sc.referring(ctx, p, e, f, tenant, q.AsOf)
			} else {
				err = sc.includeOne(ctx, p, e, name, q)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (sc *Scope) includeOne(ctx context.Context, p *projection, e *Entity, name string, q Query) error {
	resolve := func(v any) (any, error) {
		id, _ := v.(string)
		t := sc.store.types.OfID(id)
		if t == nil {
			return v, nil
		}
		seq, err := p.seqAt(ctx, q.AsOf)
		if err != nil {
			return nil, err
		}
		st, err := sc.store.stateOf(ctx, p, sc.tenant, t, id, seq)
		if err != nil || st == nil || st.deleted {
			return v, err
		}
		return &st.Entity, nil
	}
	value, ok := e.Fields()[name]
	if !ok {
		return nil
	}
	list, isList := value.([]any)
	if !isList {
		v, err := resolve(value)
		e.more[name] = v
		return err
	}
	out := slices.Clone(list)
	for i, v := range list[:min(len(list), maxIncluded)] {
		var err error
		if out[i], err = resolve(v); err != nil {
			return err
		}
	}
	e.more[name] = out
	e.without(name, int64(len(list)-maxIncluded))
	return nil
}

// referring includes the entities whose field f refers to e, newest first.
func (sc *Scope) referring(ctx context.Context, p *projection, e *Entity, f *Field, tenant int64, asOf AsOf) error {
	t := sc.store.types.byName[f.Ref]
	c := &compiler{typ: t, past: !asOf.IsZero()}
	where, err := c.where(map[string]any{f.RefField: e.ID}, 1)
	if err != nil {
		return err
	}
	from, args, err := source(ctx, p, t, asOf, tenant)
	if err != nil {
		return err
	}
	where, args = " from "+from+" and "+where, append(args, c.args...)
	out := []*Entity{}
	err = p.scan(ctx, func(r *sql.Rows) error {
		e := sc.store.blank(sc.tenant, t)
		out = append(out, &e)
		return r.Scan(&e.ID, &e.Seq, &e.Version, &e.CreatedAt, &e.UpdatedAt, &e.CreatedBy, (*[]byte)(&e.doc))
	}, "select "+entityColumns(c.past)+where+" order by created_at desc, "+c.id()+" desc limit "+strconv.Itoa(maxIncluded), args...)
	e.more[f.Name] = out
	if err != nil || len(out) < maxIncluded {
		return err
	}
	var total int64
	err = p.scan(ctx, func(r *sql.Rows) error { return r.Scan(&total) }, "select count(*)"+where, args...)
	e.without(f.Name, total-maxIncluded)
	return err
}
