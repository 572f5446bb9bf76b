package flight

import (
	"context"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql/schema_ref"

	"github.com/headlessly/headlessly/lakehouse"
)

// The tables are in one schema of one catalog: headlessly.main.events.
const (
	catalog = "headlessly"
	space   = "main"
)

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

// DoGetCatalogs implements flightsql.Server.
func (s *Server) DoGetCatalogs(context.Context) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return s.texts(schema_ref.Catalogs, catalog)
}

// texts answers with one row.
func (s *Server) texts(schema *arrow.Schema, row ...string) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	b := array.NewRecordBuilder(s.Alloc, schema)
	appendTexts(b, row...)
	return batch(b.NewRecordBatch())
}

func appendTexts(b *array.RecordBuilder, row ...string) {
	for i, v := range row {
		b.Field(i).(*array.StringBuilder).Append(v) //nolint:forcetypeassert // its callers' schemas begin with texts
	}
}

// empty answers with no rows.
func (s *Server) empty(schema *arrow.Schema) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return batch(array.NewRecordBuilder(s.Alloc, schema).NewRecordBatch())
}

// here says whether a call asks about the one catalog: by its name, by "" or
// not at all.
func here(named *string) bool { return named == nil || *named == "" || *named == catalog }

// GetFlightInfoSchemas implements flightsql.Server.
func (s *Server) GetFlightInfoSchemas(_ context.Context, _ flightsql.GetDBSchemas, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return s.info(schema_ref.DBSchemas, desc, desc.GetCmd()), nil
}

// DoGetDBSchemas implements flightsql.Server.
func (s *Server) DoGetDBSchemas(_ context.Context, q flightsql.GetDBSchemas) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	if !here(q.GetCatalog()) || !matches(q.GetDBSchemaFilterPattern(), space) {
		return s.empty(schema_ref.DBSchemas)
	}
	return s.texts(schema_ref.DBSchemas, catalog, space)
}

// GetFlightInfoTableTypes implements flightsql.Server.
func (s *Server) GetFlightInfoTableTypes(_ context.Context, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return s.info(schema_ref.TableTypes, desc, desc.GetCmd()), nil
}

// DoGetTableTypes implements flightsql.Server.
func (s *Server) DoGetTableTypes(context.Context) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return s.texts(schema_ref.TableTypes, "TABLE")
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
	if len(q.GetTableTypes()) > 0 && !slices.Contains(q.GetTableTypes(), "TABLE") || !here(q.GetCatalog()) || !matches(q.GetDBSchemaFilterPattern(), space) {
		return s.empty(schema)
	}
	b := array.NewRecordBuilder(s.Alloc, schema)
	for _, name := range slices.Sorted(slices.Values(append(lakehouse.Tables(), lakehouse.Views()...))) {
		if !matches(q.GetTableNameFilterPattern(), name) {
			continue
		}
		appendTexts(b, catalog, space, name, "TABLE")
		if q.GetIncludeSchema() {
			of, _, err := s.describe(ctx, statement{SQL: "FROM " + name})
			if err != nil {
				return nil, nil, err
			}
			b.Field(4).(*array.BinaryBuilder).Append(flight.SerializeSchema(of, s.Alloc)) //nolint:forcetypeassert // of the schema above
		}
	}
	return batch(b.NewRecordBatch())
}

// matches says whether a name fits a pattern of SQL's LIKE; nil fits all.
func matches(pattern *string, name string) bool {
	return pattern == nil || *pattern == "" || like(*pattern, name)
}

// like knows % and _, and the backslash before one that stands for itself.
func like(p, s string) bool {
	switch {
	case p == "":
		return s == ""
	case p[0] == '%':
		return like(p[1:], s) || s != "" && like(p, s[1:])
	case s == "":
		return false
	case p[0] == '\\' && len(p) > 1:
		return p[1] == s[0] && like(p[2:], s[1:])
	}
	return (p[0] == '_' || p[0] == s[0]) && like(p[1:], s[1:])
}
