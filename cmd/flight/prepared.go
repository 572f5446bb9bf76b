package flight

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// maxParameterRows is how often one call may have a statement executed.
	maxParameterRows = 1000
	// maxHandleBytes bounds a statement with its parameters; it travels in
	// messages of at most 4 MiB.
	maxHandleBytes = 1 << 20
)

// CreatePreparedStatement implements flightsql.Server. The handle is the query.
func (s *Server) CreatePreparedStatement(ctx context.Context, r flightsql.ActionCreatePreparedStatementRequest) (res flightsql.ActionCreatePreparedStatementResult, err error) {
	q := statement{SQL: r.GetQuery()}
	schema, parameters, err := s.describe(ctx, q)
	if err != nil {
		return res, err
	}
	if res.Handle, err = q.handle(); err != nil {
		return res, s.fault(err)
	}
	no := false
	res.DatasetSchema, res.ParameterSchema, res.IsUpdate = schema, parameterSchema(parameters), &no
	return res, nil
}

// parameterSchema tells clients how to send parameters.
func parameterSchema(types []string) *arrow.Schema {
	fields := make([]arrow.Field, len(types))
	for i, t := range types {
		fields[i] = arrow.Field{Name: strconv.Itoa(i + 1), Type: parameterType(t), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// parameterType is the Arrow type of DuckDB's; texts stand for what JSON has no
// values of.
func parameterType(name string) arrow.DataType {
	switch name {
	case "BOOLEAN":
		return arrow.FixedWidthTypes.Boolean
	case "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT":
		return arrow.PrimitiveTypes.Int32
	case "BIGINT", "UINTEGER":
		return arrow.PrimitiveTypes.Int64
	case "FLOAT", "DOUBLE":
		return arrow.PrimitiveTypes.Float64
	case "DATE":
		return arrow.FixedWidthTypes.Date32
	case "TIMESTAMP":
		return &arrow.TimestampType{Unit: arrow.Microsecond}
	case "TIMESTAMP WITH TIME ZONE":
		return arrow.FixedWidthTypes.Timestamp_us
	}
	if strings.HasPrefix(name, "DECIMAL") {
		return arrow.PrimitiveTypes.Float64
	}
	return arrow.BinaryTypes.String
}

// ClosePreparedStatement implements flightsql.Server: there is nothing to close.
func (s *Server) ClosePreparedStatement(context.Context, flightsql.ActionClosePreparedStatementRequest) error {
	return nil
}

// GetFlightInfoPreparedStatement implements flightsql.Server.
func (s *Server) GetFlightInfoPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	stmt, err := statementOf(q.GetPreparedStatementHandle())
	if err != nil {
		return nil, err
	}
	schema, _, err := s.describe(ctx, stmt)
	if err != nil {
		return nil, err
	}
	return s.info(schema, desc, desc.GetCmd()), nil
}

// GetSchemaPreparedStatement implements flightsql.Server.
func (s *Server) GetSchemaPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery, _ *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	stmt, err := statementOf(q.GetPreparedStatementHandle())
	if err != nil {
		return nil, err
	}
	return s.schemaOf(ctx, stmt)
}

// DoGetPreparedStatement implements flightsql.Server.
func (s *Server) DoGetPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	stmt, err := statementOf(q.GetPreparedStatementHandle())
	if err != nil {
		return nil, nil, err
	}
	return s.answer(ctx, stmt)
}

// DoPutPreparedStatementQuery implements flightsql.Server: the parameters become
// part of the handle. The statement is executed once for each row of them.
func (s *Server) DoPutPreparedStatementQuery(_ context.Context, q flightsql.PreparedStatementQuery, r flight.MessageReader, _ flight.MetadataWriter) ([]byte, error) {
	stmt, err := statementOf(q.GetPreparedStatementHandle())
	if err != nil {
		return nil, err
	}
	stmt.Rows = nil
	for r.Next() {
		rec := r.RecordBatch()
		if int64(len(stmt.Rows))+rec.NumRows() > maxParameterRows {
			return nil, status.Error(codes.InvalidArgument, fmt.Sprintf("send at most %d rows of parameters: the query is asked once for each", maxParameterRows))
		}
		for row := range int(rec.NumRows()) {
			args := make([]any, rec.NumCols())
			for i := range args {
				if args[i], err = parameter(rec.Column(i), row); err != nil {
					return nil, status.Error(codes.InvalidArgument, fmt.Sprintf("parameter %d: %v", i+1, err))
				}
			}
			stmt.Rows = append(stmt.Rows, args)
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	handle, err := stmt.handle()
	if err == nil && len(handle) > maxHandleBytes {
		return nil, status.Error(codes.InvalidArgument, "the query and its parameters take more than 1 MiB; send fewer rows at once")
	}
	return handle, err
}

// parameter is a value of a column, as JSON knows it.
func parameter(a arrow.Array, row int) (any, error) {
	if a.IsNull(row) {
		return nil, nil //nolint:nilnil // null is a value
	}
	raw, err := json.Marshal(a.GetOneForMarshal(row))
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	switch v.(type) {
	case string, float64, bool:
		return json.RawMessage(raw), nil
	}
	return nil, fmt.Errorf("a %s can't be one; send a text, a number or a truth value", a.DataType())
}
