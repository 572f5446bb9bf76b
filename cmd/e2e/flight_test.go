package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	product "github.com/headlessly/headlessly/cmd/gateway"
)

// cells reads every endpoint of an answer as text, a row a line.
func cells(ctx context.Context, c *flightsql.Client, info *flight.FlightInfo) (string, error) {
	var b strings.Builder
	for _, e := range info.Endpoint {
		r, err := c.DoGet(ctx, e.Ticket)
		if err != nil {
			return "", err
		}
		defer r.Release()
		for r.Next() {
			rec := r.RecordBatch()
			for i := range int(rec.NumRows()) {
				row := make([]string, rec.NumCols())
				for n := range row {
					row[n] = rec.Column(n).ValueStr(i)
				}
				b.WriteString(strings.Join(row, "|") + "\n")
			}
		}
		if err := r.Err(); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// TestFlightSQLAnswersATenantsOwn asks over Arrow Flight SQL with keys of every
// kind.
func TestFlightSQLAnswersATenantsOwn(t *testing.T) {
	address := freeAddr(t)
	g := newGateway(t, "tenants:\n  shop: {}\nflight: "+address+"\n")
	for tenant, n := range map[string]int{"default": 3, "shop": 5} {
		for i := range n {
			if status, answer := g.post(t, "/e?t="+tenant, fmt.Sprintf(`{"events":[{"event":"Seen","userId":"u%d"}]}`, i)); status != 202 {
				t.Fatalf("got %d %s", status, answer)
			}
		}
	}
	creds, err := product.ReadCredentials(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := flightsql.NewClient(address, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	as := func(pairs ...string) context.Context { return metadata.AppendToOutgoingContext(t.Context(), pairs...) }
	ask := func(ctx context.Context, sql string) (string, error) {
		info, err := c.Execute(ctx, sql)
		if err != nil {
			return "", err
		}
		return cells(ctx, c, info)
	}
	const count = "SELECT count(*) AS n, count(DISTINCT user_id) AS users FROM events"
	for name, c := range map[string]struct {
		ctx       context.Context
		sql, want string
		fault     string
	}{
		"a tenant's key":                {as("authorization", "Bearer "+creds.SecretKey), count, "3|3\n", ""},
		"the key of another tenant":     {as("authorization", "Bearer "+creds.SecretKey, "x-headlessly-tenant", "shop"), count, "", "belongs to another tenant"},
		"an admin's key for a tenant":   {as("authorization", "Bearer "+creds.AdminKey, "x-headlessly-tenant", "shop"), count, "5|5\n", ""},
		"an admin's key over all":       {as("authorization", "Bearer "+creds.AdminKey), count, "8|5\n", ""},
		"a tenant that is not there":    {as("authorization", "Bearer "+creds.AdminKey, "x-headlessly-tenant", "nobody"), count, "", "no such tenant"},
		"a public key":                  {as("authorization", "Bearer "+creds.PublicKey), count, "", "a public key only appends events"},
		"no key":                        {t.Context(), count, "", "send a secret key"},
		"a key that is none":            {as("authorization", "Bearer hly_sk_nothing"), count, "", "unknown or revoked"},
		"a query that is wrong":         {as("authorization", "Bearer "+creds.SecretKey), "SELECT nothing FROM events", "", "nothing"},
		"what is no query":              {as("authorization", "Bearer "+creds.SecretKey), "DROP VIEW events", "", "SELECT"},
		"a file of the machine":         {as("authorization", "Bearer "+creds.SecretKey), "SELECT * FROM read_csv('/etc/passwd')", "", "disabled"},
		"a semicolon and a comment end": {as("authorization", "Bearer "+creds.SecretKey), "SELECT 1 AS x -- one\n;", "1\n", ""},
	} {
		got, err := ask(c.ctx, c.sql)
		switch {
		case c.fault == "" && (err != nil || got != c.want):
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: got %q, %v, want a fault about %q", name, got, err, c.fault)
		}
	}
	me := as("authorization", "Bearer "+creds.SecretKey)
	for name, want := range map[string]struct {
		value any
		rows  string
	}{"text": {"u1", "1\n"}, "nobody": {"u9", "0\n"}} {
		stmt, err := c.Prepare(me, "SELECT count(*) AS n FROM events WHERE user_id = ?")
		if err != nil {
			t.Fatal(err)
		}
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.BinaryTypes.String}}, nil))
		b.Field(0).(*array.StringBuilder).Append(want.value.(string))
		stmt.SetParameters(b.NewRecordBatch())
		info, err := stmt.Execute(me)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cells(me, c, info); err != nil || got != want.rows {
			t.Errorf("a parameter, %s: got %q, %v, want %q", name, got, err, want.rows)
		}
		if err := stmt.Close(me); err != nil {
			t.Error(err)
		}
	}
	pattern := "e%"
	info, err := c.GetTables(me, &flightsql.GetTablesOpts{TableNameFilterPattern: &pattern, IncludeSchema: true})
	if err != nil {
		t.Fatal(err)
	}
	tables, err := cells(me, c, info)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(tables) {
		names = append(names, strings.Split(line, "|")[2])
	}
	if want := []string{"entity_events", "errors", "events"}; !slices.Equal(names, want) {
		t.Errorf("tables: got %v, want %v", names, want)
	}
}

// TestFlightSQLFromADBC asks through Python's ADBC driver, which is what BI
// tools load.
func TestFlightSQLFromADBC(t *testing.T) {
	address := freeAddr(t)
	g := newGateway(t, "flight: "+address+"\n")
	if status, answer := g.post(t, "/e?t=default", `{"events":[{"event":"Seen","userId":"ada"}]}`); status != 202 {
		t.Fatalf("got %d %s", status, answer)
	}
	script := filepath.Join(t.TempDir(), "ask.py")
	if err := os.WriteFile(script, []byte(`
import json, pathlib, sys
import adbc_driver_flightsql.dbapi as flight
key = json.loads(pathlib.Path(sys.argv[2], "credentials.json").read_text())["secretKey"]
for options in ({"adbc.flight.sql.authorization_header": "Bearer " + key}, {"username": "default", "password": key}):
    with flight.connect("grpc://" + sys.argv[1], db_kwargs=options, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT event, user_id FROM events")
        print(cursor.fetch_arrow_table().to_pylist())
        cursor.execute("SELECT count(*) AS n FROM events WHERE user_id = ?", ("ada",))
        print(cursor.fetchall())
`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := g.python(t, script, address, g.dir)
	const want = "[{'event': 'Seen', 'user_id': 'ada'}]\n[(1,)]\n"
	if err != nil || out != want+want {
		t.Errorf("got %s, %v, want %s twice", out, err, want)
	}
}

// python runs a script with the interpreter that .ci/deps made.
func (g *gateway) python(t testing.TB, args ...string) (string, error) {
	t.Helper()
	interpreter := os.Getenv("HEADLESSLY_PYTHON")
	if interpreter == "" {
		interpreter = python(t)
	}
	out, err := exec.CommandContext(t.Context(), interpreter, args...).CombinedOutput()
	return string(out), err
}
