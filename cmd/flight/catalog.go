package flight

import (
	"context"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql/schema_ref"
)

// space is the one schema that the tables are in.
const space = "main"

// batch answers with one batch.
func batch(rec arrow.RecordBatch) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	chunks := make(chan flight.StreamChunk, 1)
	chunks <- flight.StreamChunk{Data: rec}
	close(chunks)
	return rec.Schema(), chunks, nil
}

// GetFlightInfoCatalogs implements flightsql.Server.
func (s *Server) GetFlightInfoCatalogs(_ context.Context, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return s.info(schema_ref.Catalogs, desc, desc.GetCmd()), nil
}

// DoGetCatalogs implements flightsql.Server: there are none.
func (s *Server) DoGetCatalogs(context.Context) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return batch(array.NewRecordBuilder(s.Alloc, schema_ref.Catalogs).NewRecordBatch())
}

// GetFlightInfoSchemas implements flightsql.Server.
func (s *Server) GetFlightInfoSchemas(_ context.Context, _ flightsql.GetDBSchemas, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return s.info(schema_ref.DBSchemas, desc, desc.GetCmd()), nil
}

// DoGetDBSchemas implements flightsql.Server.
func (s *Server) DoGetDBSchemas(_ context.Context, q flightsql.GetDBSchemas) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	b := array.NewRecordBuilder(s.Alloc, schema_ref.DBSchemas)
	if matches(q.GetDBSchemaFilterPattern(), space) {
		b.Field(0).AppendNull()
		b.Field(1).(*array.StringBuilder).Append(space) //nolint:forcetypeassert // of the schema above
	}
	return batch(b.NewRecordBatch())
}

// GetFlightInfoTableTypes implements flightsql.Server.
func (s *Server) GetFlightInfoTableTypes(_ context.Context, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return s.info(schema_ref.TableTypes, desc, desc.GetCmd()), nil
}

// DoGetTableTypes implements flightsql.Server.
func (s *Server) DoGetTableTypes(context.Context) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	b := array.NewRecordBuilder(s.Alloc, schema_ref.TableTypes)
	b.Field(0).(*array.StringBuilder).Append("TABLE") //nolint:forcetypeassert // of the schema above
	return batch(b.NewRecordBatch())
}

// GetFlightInfoTables implements flightsql.Server.
func (s *Server) GetFlightInfoTables(_ context.Context, q flightsql.GetTables, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	schema := schema_ref.Tables
	if q.GetIncludeSchema() {
		schema = schema_ref.TablesWithIncludedSchema
	}
	return s.info(schema, desc, desc.GetCmd()), nil
}

// DoGetTables implements flightsql.Server. Tables and views are alike to who
// asks: TABLE.
func (s *Server) DoGetTables(ctx context.Context, q flightsql.GetTables) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	schema := schema_ref.Tables
	if q.GetIncludeSchema() {
		schema = schema_ref.TablesWithIncludedSchema
	}
	b := array.NewRecordBuilder(s.Alloc, schema)
	if (len(q.GetTableTypes()) > 0 && !slices.Contains(q.GetTableTypes(), "TABLE")) || !matches(q.GetDBSchemaFilterPattern(), space) {
		return batch(b.NewRecordBatch())
	}
	names, err := s.tables(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		if !matches(q.GetTableNameFilterPattern(), name) {
			continue
		}
		b.Field(0).AppendNull()
		for i, v := range []string{space, name, "TABLE"} {
			b.Field(i + 1).(*array.StringBuilder).Append(v) //nolint:forcetypeassert // of the schema above
		}
		if q.GetIncludeSchema() {
			of, err := s.schema(ctx, statement{SQL: "FROM " + name})
			if err != nil {
				return nil, nil, err
			}
			b.Field(4).(*array.BinaryBuilder).Append(flight.SerializeSchema(of, s.Alloc)) //nolint:forcetypeassert // of the schema above
		}
	}
	return batch(b.NewRecordBatch())
}

// tables lists the tables and views.
func (s *Server) tables(ctx context.Context) (names []string, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r, err := s.run(ctx, statement{SQL: "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1"})
	if err != nil {
		return nil, err
	}
	defer r.Release()
	for r.Next() {
		col := r.RecordBatch().Column(0)
		for i := range col.Len() {
			names = append(names, col.ValueStr(i))
		}
	}
	if err := r.Err(); err != nil {
		return nil, s.fault(err)
	}
	return names, nil
}

// matches says whether a name fits a pattern of SQL's LIKE; nil fits all.
func matches(pattern *string, name string) bool {
	if pattern == nil || *pattern == "" {
		return true
	}
	return like(*pattern, name)
}

func like(p, s string) bool {
	switch {
	case p == "":
		return s == ""
	case p[0] == '%':
		return like(p[1:], s) || s != "" && like(p, s[1:])
	case s == "":
		return false
	}
	return (p[0] == '_' || p[0] == s[0]) && like(p[1:], s[1:])
}
