package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

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
		values []string
		rows   string
	}{"one row": {[]string{"u1"}, "1\n"}, "nobody": {[]string{"u9"}, "0\n"}, "many rows": {[]string{"u1", "u9", "u0"}, "1\n0\n1\n"}} {
		stmt, err := c.Prepare(me, "SELECT count(*) AS n FROM headlessly.main.events WHERE user_id = ?")
		if err != nil {
			t.Fatal(err)
		}
		if got := stmt.ParameterSchema(); got.NumFields() != 1 || got.Field(0).Type.ID() != arrow.STRING {
			t.Errorf("parameters: got %v, want one text", got)
		}
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.BinaryTypes.String}}, nil))
		b.Field(0).(*array.StringBuilder).AppendValues(want.values, nil)
		stmt.SetParameters(b.NewRecordBatch())
		info, err := stmt.Execute(me)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cells(me, c, info); err != nil || got != want.rows {
			t.Errorf("parameters, %s: got %q, %v, want %q", name, got, err, want.rows)
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

// TestFlightSQLSharesTheKeysMinuteWithREST asks until the key has no requests
// left, in one face and then in the other.
func TestFlightSQLSharesTheKeysMinuteWithREST(t *testing.T) {
	address := freeAddr(t)
	g := newGateway(t, "requestsPerMinute: 6\nflight: "+address+"\n")
	creds, err := product.ReadCredentials(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := flightsql.NewClient(address, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	me := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+creds.SecretKey)
	rest := func() int {
		a, err := g.do(t.Context(), creds.SecretKey, "POST", "/~default/sql", `{"sql":"SELECT 1"}`)
		if err != nil {
			t.Fatal(err)
		}
		return a.status
	}
	for range 2 {
		if got := rest(); got != 200 {
			t.Errorf("REST: got %d, want 200", got)
		}
	}
	refused := 0
	for range 5 { // 4 are left
		if _, err := c.GetCatalogs(me); status.Code(err) == codes.ResourceExhausted {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("%d of five calls were refused, want the last", refused)
	}
	if got := rest(); got != 429 {
		t.Errorf("REST after Flight SQL took what was left: got %d, want 429", got)
	}
}

// certified makes a certificate of 127.0.0.1 with its key, as PEM files.
func certified(t testing.TB) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "headlessly test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &about, &about, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

// overTLS is a gateway whose Flight SQL server shows a certificate.
func overTLS(t testing.TB) (g *gateway, address, cert string) {
	t.Helper()
	cert, key := certified(t)
	address = freeAddr(t)
	g = newGateway(t, fmt.Sprintf("flight: %s\ntls: {cert: %s, key: %s, flight: true}\n", address, cert, key))
	for _, user := range []string{"ada", "bob"} {
		if status, answer := g.post(t, "/e?t=default", `{"events":[{"event":"Seen","userId":"`+user+`"}]}`); status != 202 {
			t.Fatalf("got %d %s", status, answer)
		}
	}
	return g, address, cert
}

// TestFlightSQLFromADBC asks through Python's ADBC driver, which is what BI
// tools load, in the clear and over TLS.
func TestFlightSQLFromADBC(t *testing.T) {
	plain := freeAddr(t)
	p := newGateway(t, "flight: "+plain+"\n")
	for _, user := range []string{"ada", "bob"} {
		if status, answer := p.post(t, "/e?t=default", `{"events":[{"event":"Seen","userId":"`+user+`"}]}`); status != 202 {
			t.Fatalf("got %d %s", status, answer)
		}
	}
	g, secure, cert := overTLS(t)
	script := filepath.Join(t.TempDir(), "ask.py")
	if err := os.WriteFile(script, []byte(`
import json, pathlib, sys
import adbc_driver_flightsql.dbapi as flight
import pyarrow as pa
uri, folder, cert = sys.argv[1:4]
key = json.loads(pathlib.Path(folder, "credentials.json").read_text())["secretKey"]
tls = {"adbc.flight.sql.client_option.tls_root_certs": pathlib.Path(cert).read_text()} if cert else {}
for options in ({"adbc.flight.sql.authorization_header": "Bearer " + key}, {"username": "default", "password": key}):
    with flight.connect(uri, db_kwargs=options | tls, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT event, user_id FROM events ORDER BY user_id")
        print(cursor.fetch_arrow_table().to_pylist())
        cursor.execute("SELECT count(*) AS n FROM events WHERE user_id = ?", ("ada",))
        print(cursor.fetchall())
        cursor.execute("SELECT user_id, ? AS asked FROM events WHERE user_id = ?", pa.record_batch({"0": ["x", "y", "z"], "1": ["bob", "nobody", "ada"]}))
        print(cursor.fetchall())
        found = connection.adbc_get_objects(table_name_filter="events").read_all().to_pylist()
        table = found[0]["catalog_db_schemas"][0]["db_schema_tables"][0]
        print(found[0]["catalog_name"], table["table_name"], len(table["table_columns"]) > 60)
        print(connection.adbc_get_table_schema("events").field("user_id").type, connection.adbc_get_table_types(), connection.adbc_get_info()["vendor_name"])
`), 0o600); err != nil {
		t.Fatal(err)
	}
	const once = "[{'event': 'Seen', 'user_id': 'ada'}, {'event': 'Seen', 'user_id': 'bob'}]\n[(1,)]\n[('bob', 'x'), ('ada', 'z')]\nheadlessly events True\nstring ['TABLE'] headlessly\n"
	for _, c := range []struct {
		g         *gateway
		uri, cert string
	}{{p, "grpc://" + plain, ""}, {g, "grpc+tls://" + secure, cert}} {
		if out, err := c.g.python(t, script, c.uri, c.g.dir, c.cert); err != nil || out != once+once {
			t.Errorf("%s: got %s, %v, want %s twice", c.uri, out, err, once)
		}
	}
}

// TestFlightSQLFromJDBC asks through the driver that DBeaver and other Java
// tools load, over TLS, and reads what they show of a database.
func TestFlightSQLFromJDBC(t *testing.T) {
	jars, err := filepath.Glob(filepath.Join("..", "..", ".ci", "jdbc", "flight-sql-jdbc-driver-*.jar"))
	if named := os.Getenv("HEADLESSLY_JDBC"); named != "" {
		jars = []string{named}
	}
	if err != nil || len(jars) == 0 {
		t.Fatalf("no JDBC driver (make deps installs it): %v", err)
	}
	g, address, cert := overTLS(t)
	creds, err := product.ReadCredentials(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	out, err := g.python(t, filepath.Join("testdata", "jdbc.py"), jars[len(jars)-1], address, creds.SecretKey, cert)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got map[string]any
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for what, want := range map[string]string{
		"product": "[headlessly \" \\ true]", "keywords": "true", "limits": "[0 true]",
		"supports": "map[nullsAreSortedAtEnd:true supportsBatchUpdates:false supportsGroupBy:true supportsOuterJoins:true supportsStoredProcedures:false supportsSubqueriesInIns:true supportsTransactions:false supportsUnionAll:true]",
		"catalogs": "[[headlessly]]", "schemas": "[[main headlessly]]", "types": "[[TABLE]]",
		"tables":  "[[headlessly main entity_events TABLE] [headlessly main errors TABLE] [headlessly main events TABLE]]",
		"columns": "[[events user_id VARCHAR]]", "keys": "0",
		"query": "[[Seen ada] [Seen bob]]", "executes": "true", "fault": "true", "parameters": "[3 1 1 0]",
	} {
		if text := fmt.Sprint(got[what]); text != want {
			t.Errorf("%s: got %s, want %s", what, text, want)
		}
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
