package flight

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// GetFlightInfoStatement implements flightsql.Server.
func (s *Server) GetFlightInfoStatement(ctx context.Context, q flightsql.StatementQuery, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	schema, err := s.schema(ctx, statement{SQL: q.GetQuery()})
	if err != nil {
		return nil, err
	}
	handle, err := statement{SQL: q.GetQuery()}.handle()
	if err != nil {
		return nil, s.fault(err)
	}
	ticket, err := flightsql.CreateStatementQueryTicket(handle)
	if err != nil {
		return nil, s.fault(err)
	}
	return s.info(schema, desc, ticket), nil
}

// GetSchemaStatement implements flightsql.Server.
func (s *Server) GetSchemaStatement(ctx context.Context, q flightsql.StatementQuery, _ *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	schema, err := s.schema(ctx, statement{SQL: q.GetQuery()})
	if err != nil {
		return nil, err
	}
	return &flight.SchemaResult{Schema: flight.SerializeSchema(schema, s.Alloc)}, nil
}

// DoGetStatement implements flightsql.Server.
func (s *Server) DoGetStatement(ctx context.Context, t flightsql.StatementQueryTicket) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	q, err := statementOf(t.GetStatementHandle())
	if err != nil {
		return nil, nil, err
	}
	return s.answer(ctx, q)
}

// CreatePreparedStatement implements flightsql.Server. The handle is the query;
// a query with parameters is checked when they are there.
func (s *Server) CreatePreparedStatement(ctx context.Context, r flightsql.ActionCreatePreparedStatementRequest) (res flightsql.ActionCreatePreparedStatementResult, err error) {
	if res.Handle, err = (statement{SQL: r.GetQuery()}).handle(); err != nil {
		return res, s.fault(err)
	}
	if schema, err := s.schema(ctx, statement{SQL: r.GetQuery()}); err == nil {
		res.DatasetSchema = schema
	}
	return res, nil
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
	schema, err := s.schema(ctx, stmt)
	if err != nil {
		return nil, err
	}
	return s.info(schema, desc, desc.GetCmd()), nil
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
// part of the handle.
func (s *Server) DoPutPreparedStatementQuery(_ context.Context, q flightsql.PreparedStatementQuery, r flight.MessageReader, _ flight.MetadataWriter) ([]byte, error) {
	stmt, err := statementOf(q.GetPreparedStatementHandle())
	if err != nil {
		return nil, err
	}
	rows := int64(0)
	for r.Next() {
		rec := r.RecordBatch()
		if rows += rec.NumRows(); rows > 1 {
			return nil, status.Error(codes.InvalidArgument, "send one row of parameters; a query is asked once for each")
		}
		for i := range int(rec.NumCols()) {
			v, err := parameter(rec.Column(i))
			if err != nil {
				return nil, status.Error(codes.InvalidArgument, fmt.Sprintf("parameter %d: %v", i+1, err))
			}
			stmt.Args = append(stmt.Args, v)
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return stmt.handle()
}

// parameter is the one value of a column, as JSON knows it.
func parameter(a arrow.Array) (any, error) {
	if a.Len() == 0 || a.IsNull(0) {
		return nil, nil //nolint:nilnil // null is a value
	}
	raw, err := json.Marshal(a.GetOneForMarshal(0))
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
