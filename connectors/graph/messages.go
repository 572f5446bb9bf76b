package graph

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// messages makes what the log will hold. changed is false when an update
// changes nothing.
func (a *attempt) messages(ctx context.Context, after map[string]any) (changed bool, err error) {
	p, release := a.s.view()
	defer release()
	if a.doc, err = encode(after); err != nil {
		return false, err
	}
	if len(a.doc) > MaxDocBytes {
		return false, &Error{Code: CodeTooLarge, Type: a.typ.Name, ID: a.op.ID, Message: fmt.Sprintf("the %s has %d bytes, more than %d; keep large values elsewhere", a.typ.Name, len(a.doc), MaxDocBytes)}
	}
	e := stored{ID: a.eventID, Event: a.event, Actor: a.scope.actor, Time: a.stamp(p), Version: version(a.now) + 1, Cause: a.scope.cause, Hops: a.scope.hops}
	var before map[string]any
	switch {
	case a.now == nil:
		e.Whole, e.Data = true, a.doc
	case a.op.Verb == VerbDelete:
		e.Deleted = true
		before, after, a.doc = a.now.Fields(), nil, a.now.doc
	default:
		before = a.now.Fields()
		changes := diff(before, after)
		if len(changes) == 0 && a.op.Verb == VerbUpdate && a.event == a.verb.Event {
			return false, nil
		}
		if len(changes) > 0 {
			if e.Data, err = encode(changes); err != nil {
				return false, err
			}
		}
		if a.now.deleted { // its unique values are free; take them anew
			before = nil
		}
	}
	a.msgs = a.msgs[:0]
	if err := a.reserve(ctx, p, before, after); err != nil {
		return false, err
	}
	a.sent = e
	data, err := seal(e)
	if err != nil {
		return false, err
	}
	expect := uint64(0)
	if a.now != nil {
		expect = a.now.Seq
	}
	a.msgs = append(a.msgs, message{subject: a.s.names.entity(a.scope.tenant, a.typ.Name, a.id), expect: expect, data: data})
	return true, nil
}

// reserve adds the messages that take and free unique values.
func (a *attempt) reserve(ctx context.Context, p *projection, before, after map[string]any) error {
	for _, f := range a.typ.uniques {
		old, now := uniqueValue(before, f), uniqueValue(after, f)
		if equal(old, now) {
			continue
		}
		if now != nil {
			seq, err := a.free(ctx, p, f, now)
			if err != nil {
				return err
			}
			if err := a.addReservation(f, seq, reservation{Value: now, Owner: a.id}); err != nil {
				return err
			}
		}
		if old != nil {
			owner, seq, err := p.owner(ctx, a.scope.tenant, a.typ, f, old)
			if err != nil {
				return err
			}
			if owner == a.id {
				if err := a.addReservation(f, seq, reservation{Value: old}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// uniqueValue is a unique field's value; an empty text is none.
func uniqueValue(fields map[string]any, f *Field) any {
	if v := fields[f.Name]; v != nil && v != "" {
		return v
	}
	return nil
}

func (a *attempt) addReservation(f *Field, seq uint64, r reservation) error {
	data, err := seal(r)
	if err != nil {
		return err
	}
	a.msgs = append(a.msgs, message{subject: a.s.names.unique(a.scope.tenant, a.typ.Name, f.Name, uniqueKey(r.Value)), expect: seq, data: data})
	return nil
}

// free checks that a unique value can be taken and gives its last sequence.
func (a *attempt) free(ctx context.Context, p *projection, f *Field, v any) (uint64, error) {
	owner, seq, err := p.owner(ctx, a.scope.tenant, a.typ, f, v)
	if err != nil || owner == "" || owner == a.id {
		return seq, err
	}
	// The owner holds it, unless a damaged log lost the owner.
	st, err := a.s.stateOf(ctx, p, a.scope.tenant, a.typ, owner, whole)
	if err != nil {
		return 0, err
	}
	if st != nil && !st.deleted && equal(uniqueValue(st.Fields(), f), v) {
		text, _ := json.Marshal(v) //nolint:errchkjson // a text or a number
		return 0, &Error{
			Code: CodeConflict, Type: a.typ.Name, ID: owner, Field: f.Name,
			Message: fmt.Sprintf("%s: %s belongs to %s already; update that %s, or choose another value", f.Name, text, owner, a.typ.Name),
		}
	}
	return seq, nil
}

// owner tells who has a unique value, and the sequence of its last reservation.
func (p *projection) owner(ctx context.Context, tenant string, t *Type, f *Field, v any) (owner string, seq uint64, err error) {
	number, err := p.tenantID(ctx, tenant)
	if err != nil || number == 0 {
		return "", 0, err
	}
	err = p.scan(ctx, func(r *sql.Rows) error { return r.Scan(&owner, &seq) },
		`select owner, seq from uniques where tenant = ? and type = ? and field = ? and key = ?`, number, t.Name, f.Name, uniqueKey(v))
	return owner, seq, err
}

// missingReferences names the references to entities that are not there.
func (s *Store) missingReferences(ctx context.Context, tenant string, t *Type, doc map[string]any) (faults []*Error, err error) {
	p, release := s.view()
	defer release()
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Kind != KindRef {
			continue
		}
		ids, _ := doc[f.Name].([]any)
		if id, ok := doc[f.Name].(string); ok {
			ids = []any{id}
		}
		for _, id := range ids {
			id, _ := id.(string)
			st, err := s.stateOf(ctx, p, tenant, s.types.byName[f.Ref], id, whole)
			if err != nil {
				return nil, err
			}
			if st == nil || st.deleted {
				faults = append(faults, invalid(t.Name, f.Name, "%s: there is no %s %q; make it first", f.Name, f.Ref, id))
			}
		}
	}
	return faults, nil
}
