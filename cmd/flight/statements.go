package flight

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// statement is what tickets and handles hold: a query, and the rows of its
// parameters.
type statement struct {
	SQL  string  `json:"sql"`
	Rows [][]any `json:"rows,omitempty"`
}

// args are the parameters of an execution.
func (q statement) args(i int) []any {
	if i < len(q.Rows) {
		return q.Rows[i]
	}
	return nil
}

func (q statement) handle() ([]byte, error) { return json.Marshal(q) }

func statementOf(handle []byte) (q statement, err error) {
	dec := json.NewDecoder(strings.NewReader(string(handle)))
	dec.UseNumber()
	if err := dec.Decode(&q); err != nil || q.SQL == "" {
		return q, status.Error(codes.InvalidArgument, "the ticket is none of this server's")
	}
	return q, nil
}

// GetFlightInfoStatement implements flightsql.Server.
func (s *Server) GetFlightInfoStatement(ctx context.Context, q flightsql.StatementQuery, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	stmt := statement{SQL: q.GetQuery()}
	schema, _, err := s.describe(ctx, stmt)
	if err != nil {
		return nil, err
	}
	handle, err := stmt.handle()
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
	return s.schemaOf(ctx, statement{SQL: q.GetQuery()})
}

func (s *Server) schemaOf(ctx context.Context, q statement) (*flight.SchemaResult, error) {
	schema, _, err := s.describe(ctx, q)
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

const readsOnly = "this server answers queries and changes nothing; ask it one SELECT"

// DoPutCommandStatementUpdate implements flightsql.Server.
func (s *Server) DoPutCommandStatementUpdate(context.Context, flightsql.StatementUpdate) (int64, error) {
	return 0, status.Error(codes.InvalidArgument, readsOnly)
}

// DoPutPreparedStatementUpdate implements flightsql.Server.
func (s *Server) DoPutPreparedStatementUpdate(context.Context, flightsql.PreparedStatementUpdate, flight.MessageReader) (int64, error) {
	return 0, status.Error(codes.InvalidArgument, readsOnly)
}
