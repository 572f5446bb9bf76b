package graph

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// schemaVersion changes with the tables below; a projection of another version
// is built anew from the log.
const schemaVersion = "1"

// common are the tables that every projection has. events holds each mutation
// with the entity's state after it, so a past state is one lookup; seq orders
// it, and at never falls along seq.
const common = `
create table meta (schema text not null, types text not null, stream text not null, applied integer not null, sum text not null, at integer not null);
create table tenants (id integer primary key, name text not null unique);
create table events (
	seq integer primary key, tenant integer not null, target text not null, version integer not null,
	name text not null, id text not null, actor text not null, at integer not null,
	created_at integer not null, created_by text not null, deleted integer not null,
	cause text, hops integer not null, data text, doc text not null
);
create index events_target on events (tenant, target, seq);
create index events_tenant on events (tenant, seq);
create table uniques (
	tenant integer not null, type text not null, field text not null, key text not null,
	owner text not null, seq integer not null, primary key (tenant, type, field, key)
) without rowid;
`

// table is the name of a type's table of living entities.
func (t *Type) table() string { return `"e_` + t.Name + `"` }

// column is the name of an indexed field's column.
func (f *Field) column() string { return `"f_` + f.Name + `"` }

// schema is the SQL that makes the tables of all types.
func (ts *Types) schema() string {
	var b strings.Builder
	b.WriteString("begin immediate;\n")
	b.WriteString(common)
	for _, t := range ts.list {
		fmt.Fprintf(&b, "create table %s (tenant integer not null, id text not null, version integer not null, seq integer not null, created_at integer not null, updated_at integer not null, created_by text not null, doc text not null", t.table())
		for _, f := range t.indexed {
			fmt.Fprintf(&b, ", %s", f.column())
		}
		fmt.Fprintf(&b, ");\ncreate unique index \"i_%s\" on %s (tenant, id);\n", t.Name, t.table())
		fmt.Fprintf(&b, "create index \"i_%s_created\" on %s (tenant, created_at, id);\n", t.Name, t.table())
		for _, f := range t.indexed {
			fmt.Fprintf(&b, "create index \"i_%s_%s\" on %s (tenant, %s, created_at, id);\n", t.Name, f.Name, t.table(), f.column())
		}
	}
	b.WriteString("commit;\n")
	return b.String()
}

// insert is the SQL that stores an entity, new or changed.
func (t *Type) insert() string {
	columns := []string{"tenant", "id", "version", "seq", "created_at", "updated_at", "created_by", "doc"}
	for _, f := range t.indexed {
		columns = append(columns, f.column())
	}
	var set []string
	for _, c := range columns[2:] {
		set = append(set, c+" = excluded."+c)
	}
	return fmt.Sprintf("insert into %s (%s) values (%s) on conflict (tenant, id) do update set %s",
		t.table(), strings.Join(columns, ", "), strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", "), strings.Join(set, ", "))
}

// meta is what a projection says about itself.
type meta struct {
	schema, types, stream string
	applied               uint64
	sum                   string // of the message at applied
	at                    int64  // of the last event
}

// readMeta gives the zero meta for a file without one.
func readMeta(ctx context.Context, db *sql.DB) (m meta, err error) {
	var n int
	if err := db.QueryRowContext(ctx, `select count(*) from sqlite_master where name = 'meta'`).Scan(&n); err != nil || n == 0 {
		return m, err
	}
	err = db.QueryRowContext(ctx, `select schema, types, stream, applied, sum, at from meta`).Scan(&m.schema, &m.types, &m.stream, &m.applied, &m.sum, &m.at)
	return m, err
}
