package lakehouse

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/headlessly/headlessly"
)

// Person is one human being in the data of one tenant: the ids that their
// events carry.
type Person struct {
	Tenant string
	// Users are user ids, those merged by an alias included.
	Users []string
	// Visitors are the anonymous ids that were seen together with them.
	Visitors []string
}

// identityRounds bounds how far aliases are followed.
const identityRounds = 8

// Identify finds every id of a person, starting from one user id: the visitors
// seen with it, and what an alias names as the same person. A visitor does not
// lead on to other users, since people share devices. It reads the ids of all of
// the tenant's events, what is not committed yet among them.
func (l *Lake) Identify(ctx context.Context, tenant, user string) (Person, error) {
	users, visitors := map[string]bool{user: true}, map[string]bool{}
	for range identityRounds {
		before := len(users) + len(visitors)
		filter := EventFilter{Tenant: tenant, Columns: []string{"tenant", "type", "user_id", "anonymous_id", "previous_id", "received_at"}}
		for e, err := range l.Events(ctx, filter) {
			if err != nil {
				return Person{}, fmt.Errorf("find the ids of a person: %w", err)
			}
			if e.Type == headlessly.TypeAlias && e.PreviousID != "" && (users[e.UserID] || users[e.PreviousID]) {
				users[e.PreviousID], visitors[e.PreviousID] = true, true
				if e.UserID != "" {
					users[e.UserID] = true
				}
			}
			if users[e.UserID] && e.AnonymousID != "" {
				visitors[e.AnonymousID] = true
			}
		}
		if len(users)+len(visitors) == before {
			break
		}
	}
	return Person{Tenant: tenant, Users: slices.Sorted(maps.Keys(users)), Visitors: slices.Sorted(maps.Keys(visitors))}, nil
}

// Owns says whether an event is the person's: by its user id, or by its
// anonymous id where it names no other user.
func (p *Person) Owns(e *headlessly.Event) bool {
	return e.Tenant == p.Tenant && p.owns(e.UserID, e.AnonymousID, e.PreviousID)
}

func (p *Person) owns(user, visitor, previous string) bool {
	return user != "" && slices.Contains(p.Users, user) ||
		user == "" && visitor != "" && slices.Contains(p.Visitors, visitor) ||
		previous != "" && slices.Contains(p.Users, previous)
}

// traces finds a person's ids within texts and bytes: as a JSON string or as a
// value of a query.
type traces [][]byte

func (p *Person) traces() traces {
	var t traces
	for _, id := range slices.Concat(p.Users, p.Visitors) {
		if quoted, err := json.Marshal(id); err == nil {
			t = append(t, quoted)
		}
		t = append(t, []byte("="+url.QueryEscape(id)))
	}
	return t
}

func (t traces) in(b []byte) bool {
	for _, id := range t {
		if bytes.Contains(b, id) {
			return true
		}
	}
	return false
}

// Traced says whether a record of any kind mentions the person.
func (p *Person) Traced(rec headlessly.Record) bool {
	switch rec.Kind {
	case headlessly.RecordEvent:
		var e headlessly.Event
		return e.UnmarshalShared(rec.Data) == nil && p.Owns(&e)
	case headlessly.RecordRejected:
		var r headlessly.Rejected
		return r.UnmarshalBinary(rec.Data) == nil && r.Tenant == p.Tenant && p.traces().in(r.Raw)
	case headlessly.RecordReceipt:
		var r headlessly.Receipt
		return r.UnmarshalBinary(rec.Data) == nil && r.Tenant == p.Tenant && p.traces().in(r.Body)
	case headlessly.RecordEntityEvent:
		var e headlessly.EntityEvent
		return e.UnmarshalBinary(rec.Data) == nil && e.Tenant == p.Tenant && p.traces().in([]byte(e.Data))
	}
	return false
}

// searched is where each table may hold a person, beside events.
var searched = map[string][]string{
	TableRejected: {"raw", "path", "message"}, TableWebhookReceipts: {"body", "query"}, TableEntityEvents: {"data"}, TableMetricSnapshots: {"dimensions"},
}

// matchColumns are the columns that a search of a table reads.
func matchColumns(table string) []string {
	switch table {
	case TableEvents:
		return []string{"tenant", "user_id", "anonymous_id", "previous_id"}
	case TableDeliveries:
		return []string{"tenant", "message_id"}
	}
	return append([]string{"tenant"}, searched[table]...)
}

// rowMatcher says which rows of a record batch are the person's. messages are
// the ids of their events.
func (p *Person) rowMatcher(name string, rec arrow.RecordBatch, messages map[string]bool) (func(row int) bool, error) {
	get := func(column string) (func(row int) []byte, error) {
		at := rec.Schema().FieldIndices(column)
		if len(at) != 1 {
			return nil, fmt.Errorf("no column %s", column)
		}
		col := rec.Column(at[0])
		value := func(int) []byte { return nil }
		switch a := col.(type) {
		case array.StringLike:
			value = func(row int) []byte { return []byte(a.Value(row)) }
		case *array.Binary:
			value = a.Value
		case *array.LargeBinary:
			value = a.Value
		default:
			return nil, fmt.Errorf("column %s has type %s", column, col.DataType())
		}
		return func(row int) []byte {
			if col.IsNull(row) {
				return nil
			}
			return value(row)
		}, nil
	}
	columns := matchColumns(name)
	values := make([]func(int) []byte, len(columns))
	for i, c := range columns {
		var err error
		if values[i], err = get(c); err != nil {
			return nil, err
		}
	}
	mine := func(row int) bool { return string(values[0](row)) == p.Tenant }
	switch name {
	case TableEvents:
		return func(row int) bool {
			return mine(row) && p.owns(string(values[1](row)), string(values[2](row)), string(values[3](row)))
		}, nil
	case TableDeliveries:
		return func(row int) bool { return mine(row) && messages[string(values[1](row))] }, nil
	}
	ids := p.traces()
	return func(row int) bool {
		if !mine(row) {
			return false
		}
		for _, v := range values[1:] {
			if ids.in(v(row)) {
				return true
			}
		}
		return false
	}, nil
}

// messages are the ids of the person's committed and uncommitted events.
func (l *Lake) messages(ctx context.Context, p *Person) (map[string]bool, error) {
	ids := map[string]bool{}
	filter := EventFilter{Tenant: p.Tenant, Columns: []string{"tenant", "message_id", "user_id", "anonymous_id", "previous_id", "received_at"}}
	for e, err := range l.Events(ctx, filter) {
		if err != nil {
			return nil, err
		}
		if p.Owns(&e) {
			ids[e.MessageID] = true
		}
	}
	return ids, nil
}
