package graph

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
)

// maxIncluded bounds the entities that one back reference brings along.
const maxIncluded = 100

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
				e.more[name], err = sc.referring(ctx, p, f, tenant, e.ID, q.AsOf)
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
	return nil
}

// referring reads the entities whose field f refers to id, newest first.
func (sc *Scope) referring(ctx context.Context, p *projection, f *Field, tenant int64, id string, asOf AsOf) ([]*Entity, error) {
	t := sc.store.types.byName[f.Ref]
	c := &compiler{typ: t, past: !asOf.IsZero()}
	where, err := c.where(map[string]any{f.RefField: id}, 1)
	if err != nil {
		return nil, err
	}
	from, args, err := source(ctx, p, t, asOf, tenant)
	if err != nil {
		return nil, err
	}
	out := []*Entity{}
	err = p.scan(ctx, func(r *sql.Rows) error {
		e := sc.store.blank(sc.tenant, t)
		out = append(out, &e)
		return r.Scan(&e.ID, &e.Seq, &e.Version, &e.CreatedAt, &e.UpdatedAt, &e.CreatedBy, (*[]byte)(&e.doc))
	}, "select "+entityColumns(c.past)+" from "+from+" and "+where+" order by created_at desc, "+c.id()+" desc limit "+strconv.Itoa(maxIncluded), append(args, c.args...)...)
	return out, err
}
