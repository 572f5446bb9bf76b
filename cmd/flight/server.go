package flight

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/lakehouse"
)

// Config is what the server needs.
type Config struct {
	// Caller finds the tenant that a key may ask: its own, or for an admin's the
	// one that was named ("" is all of them). It counts the key's requests and
	// refuses what is too many, as REST does.
	Caller func(tenant, key string) (string, error)
	// SQL answers a query of a tenant, in the format that it says.
	SQL func(ctx context.Context, tenant string, q control.Query, w io.Writer) error
	// Describe answers with no rows, and tells the types of the parameters, ""
	// for one of any type. Without values for them, they are null.
	Describe func(ctx context.Context, tenant string, q control.Query, w io.Writer) (parameters []string, err error)
	// TLS is nil for a listener on loopback, or behind a proxy.
	TLS     *tls.Config
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
	for id, value := range serverInfo(cfg.Version) {
		if err := s.RegisterSqlInfo(id, value); err != nil {
			return nil, fmt.Errorf("describe Flight SQL server: %w", err)
		}
	}
	opts := []grpc.ServerOption{grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream)}
	if cfg.TLS != nil {
		conf := cfg.TLS.Clone()
		conf.NextProtos = []string{"h2"}
		opts = append(opts, grpc.Creds(credentials.NewTLS(conf)))
	}
	s.grpc = grpc.NewServer(opts...)
	flight.RegisterFlightServiceServer(s.grpc, flightsql.NewFlightServer(s))
	return s, nil
}

// Serve takes connections until Close.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Close ends the server and every query.
func (s *Server) Close() { s.grpc.Stop() }

// run asks a query and gives the answer's batches as they come. Cancel ctx when
// they are not wanted any more.
func (s *Server) run(ctx context.Context, sql string, args []any) (*ipc.Reader, error) {
	in, out := io.Pipe()
	context.AfterFunc(ctx, func() { _ = in.CloseWithError(context.Cause(ctx)) }) // else an answer that nobody reads stays for ever
	go func() {
		out.CloseWithError(s.cfg.SQL(ctx, callerOf(ctx).tenant, control.Query{SQL: sql, Parameters: args, Format: "arrow"}, out))
	}()
	r, err := ipc.NewReader(in, ipc.WithAllocator(s.Alloc))
	if err != nil {
		_ = in.CloseWithError(err)
		return nil, s.fault(err)
	}
	return r, nil
}

// answer asks a statement, once for each row of its parameters, and gives the
// answers to the Flight server, one after the other.
func (s *Server) answer(ctx context.Context, q statement) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	r, err := s.run(ctx, q.SQL, q.args(0))
	if err != nil {
		return nil, nil, err
	}
	schema := arrow.NewSchema(r.Schema().Fields(), nil)
	chunks := make(chan flight.StreamChunk)
	go func() {
		defer close(chunks)
		err := s.send(ctx, r, chunks)
		for i := 1; i < len(q.Rows) && err == nil; i++ {
			c := callerOf(ctx)
			if err = s.count(&c); err != nil { // each execution is a request
				break
			}
			if r, err = s.run(ctx, q.SQL, q.args(i)); err != nil {
				break
			}
			if !sameColumns(schema, r.Schema()) {
				r.Release()
				err = status.Error(codes.InvalidArgument, fmt.Sprintf("row %d of the parameters gives columns of other types than the first; cast them in the query", i+1))
				break
			}
			err = s.send(ctx, r, chunks)
		}
		if err != nil {
			select {
			case chunks <- flight.StreamChunk{Err: s.fault(err)}:
			case <-ctx.Done():
			}
		}
	}()
	return schema, chunks, nil
}

// send gives one answer's batches to the Flight server. One that was cut short
// ends in an error: a tool would take it for the whole.
func (s *Server) send(ctx context.Context, r *ipc.Reader, chunks chan<- flight.StreamChunk) error {
	defer r.Release()
	for r.Next() {
		rec := r.RecordBatch()
		rec.Retain()
		select {
		case chunks <- flight.StreamChunk{Data: rec}:
		case <-ctx.Done():
			rec.Release()
			return ctx.Err()
		}
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if cut, _ := r.Schema().Metadata().GetValue(lakehouse.TruncatedKey); cut != "" {
		return status.Error(codes.ResourceExhausted, "the answer has more rows than one may have; add a LIMIT, or ask for parts of it")
	}
	return nil
}

func sameColumns(a, b *arrow.Schema) bool {
	if a.NumFields() != b.NumFields() {
		return false
	}
	for i, f := range a.Fields() {
		if !arrow.TypeEqual(f.Type, b.Field(i).Type) {
			return false
		}
	}
	return true
}

// describe is the schema of a statement's answer, and the types of its
// parameters.
func (s *Server) describe(ctx context.Context, q statement) (*arrow.Schema, []string, error) {
	type described struct {
		parameters []string
		err        error
	}
	in, out := io.Pipe()
	done := make(chan described, 1)
	go func() {
		parameters, err := s.cfg.Describe(ctx, callerOf(ctx).tenant, control.Query{SQL: q.SQL, Parameters: q.args(0), Format: "arrow"}, out)
		out.CloseWithError(err)
		done <- described{parameters, err}
	}()
	r, err := ipc.NewReader(in, ipc.WithAllocator(s.Alloc))
	if err != nil {
		_ = in.CloseWithError(err)
		return nil, nil, s.fault(err)
	}
	defer r.Release()
	_, _ = io.Copy(io.Discard, in) // there are no rows
	d := <-done
	if d.err != nil {
		return nil, nil, s.fault(d.err)
	}
	return arrow.NewSchema(r.Schema().Fields(), nil), d.parameters, nil
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
