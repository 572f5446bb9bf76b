package sqlworker_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/apache/iceberg-go"
	icesql "github.com/apache/iceberg-go/catalog/sql"
	_ "github.com/apache/iceberg-go/io/gocloud/s3"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// remote configures a lake in an object store behind a REST catalog. The lake
// reaches the store through a proxy, the catalog without.
func remote(t testing.TB) (proxy *laketest.Proxy, change func(*lakehouse.Config)) {
	t.Helper()
	store := laketest.StartS3(t)
	proxy, endpoint := laketest.StartProxy(t, store)
	dir := t.TempDir()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "rest.db")+"?_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	inner, err := icesql.NewCatalog("standin", db, icesql.SQLite, iceberg.Properties{
		"warehouse": "s3://" + laketest.S3Bucket + "/warehouse", "s3.endpoint": store, "s3.region": laketest.S3Region,
		"s3.access-key-id": laketest.S3Key, "s3.secret-access-key": laketest.S3Secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer((&laketest.RESTCatalog{Inner: inner, Token: "right"}).Handler())
	t.Cleanup(server.Close)
	return proxy, func(c *lakehouse.Config) {
		c.Dir = filepath.Join(dir, "data")
		c.Catalog = lakehouse.CatalogConfig{URI: server.URL, Token: headlessly.NewSecret("right")}
		c.S3 = lakehouse.S3Config{Endpoint: endpoint, Region: laketest.S3Region, AccessKeyID: laketest.S3Key, SecretAccessKey: headlessly.NewSecret(laketest.S3Secret)}
	}
}

const countRows = "SELECT count(*) AS n, count(DISTINCT message_id) AS ids FROM events"

func TestALakeInAnObjectStoreBehindARESTCatalog(t *testing.T) {
	_, change := remote(t)
	var dir string
	lake, log, w := lakeOf(t, change, func(c *lakehouse.Config) { c.CacheBytes, dir = 1, c.Dir })
	for i := range 4 {
		log.Append(append(laketest.Records("acme", i*10, i*10+10), laketest.Records("beta", i, i+1)...)...)
		flush(t, w)
	}
	log.Append(laketest.Records("acme", 40, 45)...)
	for range 2 { // the second time after the cache was emptied
		if got, want := ask(t, lake, "acme", countRows, lakehouse.FormatCSV), "n,ids\n45,45\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	flush(t, w)
	if r, err := lake.Compact(t.Context(), true, nil); err != nil || r.Groups != 2 {
		t.Errorf("compaction: %+v, %v", r, err)
	}
	if r, err := lake.Verify(t.Context(), nil); err != nil || len(r.Faults) > 0 || r.Rows != 49 {
		t.Errorf("verify: %+v, %v", r, err)
	}
	if got, want := ask(t, lake, "", countRows, lakehouse.FormatCSV), "n,ids\n49,49\n"; got != want {
		t.Errorf("all tenants: got %q, want %q", got, want)
	}
	left, err := os.ReadDir(filepath.Join(dir, "cache"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d files are in a cache of one byte (%v)", len(left), err)
	}
}

// wide makes events whose properties take most of the room.
func wide(n int) (out []headlessly.Record) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not for secrets
	for i := range n {
		e := laketest.Event("acme", i)
		e.UserID = fmt.Sprintf("user-%d", i%50)
		var b strings.Builder
		for range 40 {
			fmt.Fprintf(&b, "%016x", r.Uint64())
		}
		e.Properties = `{"x":"` + b.String() + `"}`
		out = append(out, laketest.Record(e))
	}
	return out
}

func TestAQueryReadsOnlyTheColumnsItNames(t *testing.T) {
	const rows = 8_000
	proxy, change := remote(t)
	lake, log, w := lakeOf(t, change)
	records := wide(rows)
	for len(records) > 0 {
		n := min(len(records), 1000)
		log.Append(records[:n]...)
		records = records[n:]
	}
	flush(t, w)
	status, err := lake.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	for _, s := range status {
		size += s.Bytes
	}
	data := func() int64 {
		return proxy.Bytes(func(method, path string) bool {
			return method == http.MethodGet && strings.HasSuffix(path, ".parquet")
		})
	}
	for _, c := range []struct {
		name, sql, want string
		least, most     int64
	}{
		{"a count needs the footer", "SELECT count(*) AS n FROM events", "n\n8000\n", 1, size / 10},
		{"a column", "SELECT count(DISTINCT user_id) AS n FROM events", "n\n50\n", 1, size / 10},
		{"the same again", "SELECT count(DISTINCT user_id) AS n FROM events", "n\n50\n", 0, 0},
		{"a view's columns", "SELECT count(DISTINCT user_id) AS n FROM identities", "n\n50\n", 1, size / 4},
		{"a column by another name is found after all", "SELECT count(DISTINCT a) AS n FROM events AS e(a)", "n\n8000\n", size / 2, size},
		{"and then all is here", "SELECT count(*) AS n FROM (SELECT * FROM events WHERE length(properties) > 100)", "n\n8000\n", 0, 0},
	} {
		before := data()
		if got := ask(t, lake, "acme", c.sql, lakehouse.FormatCSV); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if got := data() - before; got < c.least || got > c.most {
			t.Errorf("%s: %d of %d bytes were read, want %d to %d", c.name, got, size, c.least, c.most)
		}
		t.Logf("%s: %d of %d bytes", c.name, data()-before, size)
	}
}

// TestAHoleIsNeverTakenForData asks for columns in a way that their names are
// not in the text, so that the first attempt meets holes.
func TestAHoleIsNeverTakenForData(t *testing.T) {
	const rows = 3_000
	_, change := remote(t)
	lake, log, w := lakeOf(t, change)
	log.Append(wide(rows)...)
	flush(t, w)
	for i, want := range map[int]string{7: fmt.Sprintf("n,d\n%d,50\n", rows), 1: fmt.Sprintf("n,d\n%d,%d\n", rows, rows), 2: fmt.Sprintf("n,d\n%d,1\n", rows)} {
		names := make([]string, i)
		for n := range names {
			names[n] = fmt.Sprintf("a%d", n+1)
		}
		query := fmt.Sprintf("SELECT count(a%d) AS n, count(DISTINCT a%d) AS d FROM events AS e(%s)", i, i, strings.Join(names, ", "))
		if got := ask(t, lake, "acme", query, lakehouse.FormatCSV); got != want {
			t.Errorf("column %d: got %q, want %q", i, got, want)
		}
	}
}

// TestAnObjectStoreInTroubleLosesAndRepeatsNothing writes, queries and compacts
// while the store fails in every way, in bursts that outlast its client's own
// tries.
func TestAnObjectStoreInTroubleLosesAndRepeatsNothing(t *testing.T) {
	for name, trouble := range map[string]laketest.Trouble{
		"slow down": laketest.SlowDown, "reset": laketest.Reset, "5xx after the effect": laketest.FailsAfterEffect,
		"reset after the effect": laketest.ResetAfterEffect, "short reads": laketest.ShortRead,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time is waiting between tries
			proxy, change := remote(t)
			lake, log, w := lakeOf(t, change)
			var mu sync.Mutex
			requests := 0
			proxy.Disturb(func(r *http.Request) laketest.Trouble {
				mu.Lock()
				defer mu.Unlock()
				of, burst := 20, 5
				if trouble == laketest.ShortRead { // which only reads can be, and there are few
					if r.Method != http.MethodGet {
						return laketest.None
					}
					of, burst = 5, 2
				}
				if requests++; requests%of < burst {
					return trouble
				}
				return laketest.None
			})
			const rounds, each = 4, 50
			for i := range rounds {
				log.Append(laketest.Records("acme", i*each, (i+1)*each)...)
				flush(t, w)
				rows, err := lake.Query(t.Context(), "acme", "SELECT message_id FROM events", lakehouse.QueryOptions{})
				if err != nil {
					t.Logf("a query in the trouble failed: %v", err)
					continue
				}
				if want := int64((i + 1) * each); rows.Count != want {
					t.Errorf("a query in the trouble: got %d rows, want %d", rows.Count, want)
				}
				if err := rows.Close(); err != nil {
					t.Error(err)
				}
			}
			proxy.Disturb(nil)
			if proxy.Faults() < 5 {
				t.Fatalf("%d requests were disturbed", proxy.Faults())
			}
			want := fmt.Sprintf("n,ids\n%d,%d\n", rounds*each, rounds*each)
			if got := ask(t, lake, "acme", countRows, lakehouse.FormatCSV); got != want {
				t.Errorf("after the trouble: got %q, want %q", got, want)
			}
			if _, err := lake.Compact(t.Context(), true, nil); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, lake, "acme", countRows, lakehouse.FormatCSV); got != want {
				t.Errorf("after compaction: got %q, want %q", got, want)
			}
			if r, err := lake.Verify(t.Context(), nil); err != nil || len(r.Faults) > 0 || r.Rows != rounds*each {
				t.Errorf("verify: %+v, %v", r, err)
			}
		})
	}
}
