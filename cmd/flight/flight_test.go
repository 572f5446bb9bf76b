package flight_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/cmd/flight"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/lakehouse"
)

// engine answers every query with one text, "<tenant>: <sql> <parameters>", and
// counts its callers' requests.
type engine struct {
	mu   sync.Mutex
	left int // requests that a key has
	cut  bool
	asks int

	ended chan error // of an endless answer
}

func (e *engine) caller(named, key string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if key != "hly_sk_right" {
		return "", &graph.Error{Code: graph.CodeUnauthorized, Message: "the key is unknown or revoked"}
	}
	if e.left--; e.left < 0 {
		return "", &graph.Error{Code: graph.CodeRateLimited, Message: "too many requests", RetryAfter: 7 * time.Second}
	}
	return "acme" + named, nil
}

func (e *engine) columns(q control.Query) *arrow.Schema {
	typ := arrow.DataType(arrow.BinaryTypes.String)
	if len(q.Parameters) > 0 && fmt.Sprint(q.Parameters[0]) == "number" {
		typ = arrow.PrimitiveTypes.Int64
	}
	said := map[string]string{}
	if e.cut {
		said[lakehouse.TruncatedKey] = "true"
	}
	meta := arrow.MetadataFrom(said)
	return arrow.NewSchema([]arrow.Field{{Name: "a", Type: typ}}, &meta)
}

func (e *engine) sql(_ context.Context, tenant string, q control.Query, w io.Writer) error {
	e.mu.Lock()
	e.asks++
	e.mu.Unlock()
	if q.SQL == "wrong" {
		return &control.QueryError{Status: 400, Code: "invalid_sql", Message: "wrong is wrong"}
	}
	schema := e.columns(q)
	out := ipc.NewWriter(w, ipc.WithSchema(schema))
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	if q.SQL == "endless" {
		for {
			b.Field(0).(*array.StringBuilder).Append(strings.Repeat("x", 1<<16))
			if err := out.Write(b.NewRecordBatch()); err != nil {
				e.ended <- err
				return err
			}
		}
	}
	if texts, ok := b.Field(0).(*array.StringBuilder); ok {
		texts.Append(fmt.Sprintf("%s: %s %v", tenant, q.SQL, q.Parameters))
	}
	return errors.Join(out.Write(b.NewRecordBatch()), out.Close())
}

func (e *engine) describe(_ context.Context, _ string, q control.Query, w io.Writer) ([]string, error) {
	if q.SQL == "wrong" {
		return nil, &control.QueryError{Status: 400, Code: "invalid_sql", Message: "wrong is wrong"}
	}
	types := []string{"VARCHAR", "BIGINT", "TIMESTAMP WITH TIME ZONE", ""}
	return types[:strings.Count(q.SQL, "?")], ipc.NewWriter(w, ipc.WithSchema(e.columns(q))).Close()
}

// start serves the engine and gives a client of it, and its calls' context.
func start(t testing.TB, e *engine, server, client *tls.Config) (*flightsql.Client, context.Context) {
	t.Helper()
	s, err := flight.New(flight.Config{Caller: e.caller, SQL: e.sql, Describe: e.describe, TLS: server, Version: "1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l) //nolint:errcheck // until Close
	t.Cleanup(s.Close)
	creds := insecure.NewCredentials()
	if client != nil {
		creds = credentials.NewTLS(client)
	}
	c, err := flightsql.NewClient(l.Addr().String(), nil, nil, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer hly_sk_right")
}

// values reads the first column of an answer.
func values(ctx context.Context, c *flightsql.Client, info *arrowflight.FlightInfo) (out []string, err error) {
	for _, e := range info.Endpoint {
		r, err := c.DoGet(ctx, e.Ticket)
		if err != nil {
			return nil, err
		}
		defer r.Release()
		for r.Next() {
			col := r.RecordBatch().Column(0)
			for i := range col.Len() {
				out = append(out, col.ValueStr(i))
			}
		}
		if err := r.Err(); err != nil {
			return out, err
		}
	}
	return out, nil
}

// rows makes parameters of one text column.
func rows(texts ...string) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.BinaryTypes.String}}, nil))
	b.Field(0).(*array.StringBuilder).AppendValues(texts, nil)
	return b.NewRecordBatch()
}

func ask(ctx context.Context, c *flightsql.Client, sql string, parameters arrow.RecordBatch) ([]string, error) {
	stmt, err := c.Prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	if parameters != nil {
		stmt.SetParameters(parameters)
	}
	info, err := stmt.Execute(ctx)
	if err != nil {
		return nil, err
	}
	return values(ctx, c, info)
}

func TestAStatementIsExecutedOnceForEachRowOfItsParameters(t *testing.T) {
	many := make([]string, 1001)
	for _, c := range []struct {
		name  string
		rows  arrow.RecordBatch
		want  []string
		fault string
	}{
		{"none", nil, []string{"acme: q ? []"}, ""},
		{"one", rows("x"), []string{"acme: q ? [x]"}, ""},
		{"three", rows("x", "y", "z"), []string{"acme: q ? [x]", "acme: q ? [y]", "acme: q ? [z]"}, ""},
		{"columns of another type", rows("x", "number"), []string{"acme: q ? [x]"}, "row 2 of the parameters gives columns of other types"},
		{"too many", rows(many...), nil, "at most 1000 rows"},
		{"too large", rows(strings.Repeat("x", 2<<20)), nil, "more than 1 MiB"},
	} {
		e := &engine{left: 100}
		client, ctx := start(t, e, nil, nil)
		got, err := ask(ctx, client, "q ?", c.rows)
		if fmt.Sprint(got) != fmt.Sprint(c.want) || (err != nil) != (c.fault != "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: got %q, %v, want %q and fault %q", c.name, got, err, c.want, c.fault)
		}
	}
}

// TestAnAnswerThatNobodyReadsOnEnds has a client go away in the middle of one.
func TestAnAnswerThatNobodyReadsOnEnds(t *testing.T) {
	e := &engine{left: 100, ended: make(chan error, 1)}
	client, ctx := start(t, e, nil, nil)
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	info, err := client.Execute(ctx, "endless")
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() {
		t.Fatal(r.Err())
	}
	leave()
	select {
	case err := <-e.ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the answer is still being written")
	}
}

func TestEveryCallAndExecutionIsARequestOfTheKeys(t *testing.T) {
	const calls = 4 // prepare, bind, describe, fetch
	for _, c := range []struct{ left, answers, asked int }{{calls + 2, 3, 3}, {calls, 1, 1}, {calls - 1, 0, 0}, {0, 0, 0}} {
		e := &engine{left: c.left}
		client, ctx := start(t, e, nil, nil)
		got, err := ask(ctx, client, "q ?", rows("x", "y", "z"))
		if len(got) != c.answers || e.asks != c.asked {
			t.Errorf("%d requests: got %q after %d queries, want %d answers of %d", c.left, got, e.asks, c.answers, c.asked)
		}
		if c.left == calls+2 {
			if err != nil {
				t.Errorf("%d requests: %v", c.left, err)
			}
			continue
		}
		st := status.Convert(err)
		wait := time.Duration(0)
		for _, d := range st.Details() {
			if retry, ok := d.(*errdetails.RetryInfo); ok {
				wait = retry.RetryDelay.AsDuration()
			}
		}
		if st.Code() != codes.ResourceExhausted || wait != 7*time.Second {
			t.Errorf("%d requests: got %v, retry after %s, want ResourceExhausted and 7s", c.left, err, wait)
		}
	}
}

func TestFaultsHaveTheirCode(t *testing.T) {
	e := &engine{left: 100}
	client, ctx := start(t, e, nil, nil)
	_, err := client.Execute(ctx, "wrong")
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "wrong is wrong") {
		t.Errorf("a wrong query: got %v", err)
	}
	if _, err := client.Execute(t.Context(), "q"); status.Code(err) != codes.Unauthenticated {
		t.Errorf("no key: got %v", err)
	}
	if _, err := client.ExecuteUpdate(ctx, "DELETE"); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "changes nothing") {
		t.Errorf("an update: got %v", err)
	}
	e.cut = true
	got, err := ask(ctx, client, "q", nil)
	if len(got) != 1 || status.Code(err) != codes.ResourceExhausted {
		t.Errorf("an answer that was cut: got %q, %v, want its row and ResourceExhausted", got, err)
	}
}

func TestToolsLearnWhatThereIs(t *testing.T) {
	e := &engine{left: 1000}
	client, ctx := start(t, e, nil, nil)
	first := func(what string, info *arrowflight.FlightInfo, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got, err := values(ctx, client, info)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return got
	}
	info, err := client.GetCatalogs(ctx)
	if got := first("catalogs", info, err); fmt.Sprint(got) != "[headlessly]" {
		t.Errorf("catalogs: got %v", got)
	}
	other, mine, escaped, types := "other", "headlessly", `entity\_events`, []string{"VIEW"}
	for name, c := range map[string]struct {
		opts *flightsql.GetTablesOpts
		want int
	}{
		"all":                     {&flightsql.GetTablesOpts{}, len(lakehouse.Tables()) + len(lakehouse.Views())},
		"of the catalog":          {&flightsql.GetTablesOpts{Catalog: &mine}, len(lakehouse.Tables()) + len(lakehouse.Views())},
		"of another catalog":      {&flightsql.GetTablesOpts{Catalog: &other}, 0},
		"of a type there is none": {&flightsql.GetTablesOpts{TableTypes: types}, 0},
		"by an escaped name":      {&flightsql.GetTablesOpts{TableNameFilterPattern: &escaped, IncludeSchema: true}, 1},
	} {
		info, err := client.GetTables(ctx, c.opts)
		if got := first("tables", info, err); len(got) != c.want {
			t.Errorf("tables, %s: got %d, want %d", name, len(got), c.want)
		}
	}
	info, err = client.GetDBSchemas(ctx, &flightsql.GetDBSchemasOpts{})
	if got := first("schemas", info, err); len(got) != 1 {
		t.Errorf("schemas: got %v", got)
	}
	info, err = client.GetTableTypes(ctx)
	if got := first("table types", info, err); fmt.Sprint(got) != "[TABLE]" {
		t.Errorf("table types: got %v", got)
	}
	info, err = client.GetXdbcTypeInfo(ctx, nil)
	if got := first("types", info, err); len(got) != 15 {
		t.Errorf("types: got %v", got)
	}
	varchar := int32(12)
	info, err = client.GetXdbcTypeInfo(ctx, &varchar)
	if got := first("one type", info, err); fmt.Sprint(got) != "[VARCHAR]" {
		t.Errorf("one type: got %v", got)
	}
	info, err = client.GetSqlInfo(ctx, nil)
	if got := first("server", info, err); len(got) < 89 {
		t.Errorf("the server tells %d things of itself, want all that JDBC asks for", len(got))
	}
	for name, get := range map[string]func() (*arrowflight.FlightInfo, error){
		"primary keys": func() (*arrowflight.FlightInfo, error) {
			return client.GetPrimaryKeys(ctx, flightsql.TableRef{Table: "events"})
		},
		"exported keys": func() (*arrowflight.FlightInfo, error) {
			return client.GetExportedKeys(ctx, flightsql.TableRef{Table: "events"})
		},
		"imported keys": func() (*arrowflight.FlightInfo, error) {
			return client.GetImportedKeys(ctx, flightsql.TableRef{Table: "events"})
		},
		"cross reference": func() (*arrowflight.FlightInfo, error) {
			return client.GetCrossReference(ctx, flightsql.TableRef{Table: "events"}, flightsql.TableRef{Table: "rejected"})
		},
	} {
		info, err := get()
		if got := first(name, info, err); len(got) != 0 {
			t.Errorf("%s: got %v, want none", name, got)
		}
	}
	stmt, err := client.Prepare(ctx, "q ? ? ? ?")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, f := range stmt.ParameterSchema().Fields() {
		got = append(got, f.Type.String())
	}
	if want := "[utf8 int64 timestamp[us, tz=UTC] utf8]"; fmt.Sprint(got) != want {
		t.Errorf("parameters: got %v, want %s", got, want)
	}
	if n := stmt.DatasetSchema().NumFields(); n != 1 {
		t.Errorf("a prepared statement has %d columns, want 1", n)
	}
}

func TestTheServerSpeaksTLS(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	pool := x509.NewCertPool()
	pool.AddCert(borrowed.Certificate())
	server := &tls.Config{Certificates: borrowed.TLS.Certificates, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	client, ctx := start(t, &engine{left: 100}, server, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	if got, err := ask(ctx, client, "q", nil); err != nil || len(got) != 1 {
		t.Errorf("got %q, %v, want an answer", got, err)
	}
	stranger, ctx := start(t, &engine{left: 100}, server, &tls.Config{MinVersion: tls.VersionTLS12})
	if _, err := ask(ctx, stranger, "q", nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a client that does not know the certificate: got %v", err)
	}
	plain, ctx := start(t, &engine{left: 100}, server, nil)
	if _, err := ask(ctx, plain, "q", nil); err == nil {
		t.Error("a client without TLS was answered")
	}
}
