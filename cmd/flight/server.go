package flight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headlessly/headlessly/cmd/control"
)

// Config is what the server needs.
type Config struct {
	// Caller finds the tenant that a key may ask: its own, or for an admin's the
	// one that was named ("" is all of them).
	Caller func(tenant, key string) (string, error)
	// SQL answers a query of a tenant, in the format that it says.
	SQL     func(ctx context.Context, tenant string, q control.Query, w io.Writer) error
	Version string
	Logger  *slog.Logger
}

// Server is a Flight SQL server. Make it with [New].
type Server struct {
	flightsql.BaseServer
	cfg  Config
	grpc *grpc.Server
}

// New makes a server.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg}
	s.Alloc = memory.DefaultAllocator
	for id, value := range map[flightsql.SqlInfo]any{
		flightsql.SqlInfoFlightSqlServerName:         "headlessly",
		flightsql.SqlInfoFlightSqlServerVersion:      cfg.Version,
		flightsql.SqlInfoFlightSqlServerArrowVersion: arrow.PkgVersion,
		flightsql.SqlInfoFlightSqlServerReadOnly:     true,
	} {
		if err := s.RegisterSqlInfo(id, value); err != nil {
			return nil, fmt.Errorf("describe Flight SQL server: %w", err)
		}
	}
	s.grpc = grpc.NewServer(grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream))
	flight.RegisterFlightServiceServer(s.grpc, flightsql.NewFlightServer(s))
	return s, nil
}

// Serve takes connections until Close.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Close ends the server and every query.
func (s *Server) Close() { s.grpc.Stop() }

// statement is what tickets and handles hold.
type statement struct {
	SQL  string `json:"sql"`
	Args []any  `json:"args,omitempty"`
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

// fault gives an error its gRPC form: what the query's author can mend is told.
func (s *Server) fault(err error) error {
	var bad *control.QueryError
	switch {
	case errors.As(err, &bad):
		return status.Error(codes.InvalidArgument, bad.Message)
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the query was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the query took too long")
	}
	s.cfg.Logger.Error("flight.fault", slog.Any("error", err))
	return status.Error(codes.Internal, "the gateway has a fault; its log says more")
}

// run asks a query and gives the answer's batches as they come. Cancel ctx when
// they are not wanted any more.
func (s *Server) run(ctx context.Context, q statement) (*ipc.Reader, error) {
	in, out := io.Pipe()
	go func() {
		out.CloseWithError(s.cfg.SQL(ctx, tenantOf(ctx), control.Query{SQL: q.SQL, Parameters: q.Args, Format: "arrow"}, out))
	}()
	r, err := ipc.NewReader(in, ipc.WithAllocator(s.Alloc))
	if err != nil {
		_ = in.CloseWithError(err)
		return nil, s.fault(err)
	}
	return r, nil
}

// stream gives a query's answer to the Flight server.
func (s *Server) answer(ctx context.Context, q statement) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	r, err := s.run(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	chunks := make(chan flight.StreamChunk)
	go func() {
		defer close(chunks)
		defer r.Release()
		for r.Next() {
			rec := r.RecordBatch()
			rec.Retain()
			select {
			case chunks <- flight.StreamChunk{Data: rec}:
			case <-ctx.Done():
				rec.Release()
				return
			}
		}
		if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
			select {
			case chunks <- flight.StreamChunk{Err: s.fault(err)}:
			case <-ctx.Done():
			}
		}
	}()
	return r.Schema(), chunks, nil
}

// schema is the schema of a query's answer, nil where only the answer tells.
func (s *Server) schema(ctx context.Context, q statement) (*arrow.Schema, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	q.SQL = "SELECT * FROM (" + strings.TrimRight(strings.TrimSpace(q.SQL), ";") + "\n) LIMIT 0"
	r, err := s.run(ctx, q)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	return r.Schema(), nil
}

// info describes a query's answer: one endpoint, here.
func (s *Server) info(schema *arrow.Schema, desc *flight.FlightDescriptor, ticket []byte) *flight.FlightInfo {
	info := &flight.FlightInfo{
		Endpoint:         []*flight.FlightEndpoint{{Ticket: &flight.Ticket{Ticket: ticket}}},
		FlightDescriptor: desc, TotalRecords: -1, TotalBytes: -1,
	}
	if schema != nil {
		info.Schema = flight.SerializeSchema(schema, s.Alloc)
	}
	return info
}
