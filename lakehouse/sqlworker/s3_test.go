//go:build interop

package sqlworker_test

import (
	"database/sql"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/iceberg-go"
	icesql "github.com/apache/iceberg-go/catalog/sql"
	_ "github.com/apache/iceberg-go/io/gocloud/s3"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// startS3 runs versitygw, named by HEADLESSLY_VERSITYGW, over a folder with one
// bucket, "lake".
func startS3(t testing.TB) (endpoint string) {
	t.Helper()
	binary := os.Getenv("HEADLESSLY_VERSITYGW")
	if binary == "" {
		t.Fatal("HEADLESSLY_VERSITYGW names no versitygw binary (go install github.com/versity/versitygw/cmd/versitygw@v1.8.0)")
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "lake"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "--port", address, "--access", "lakekey", "--secret", "lakesecret", "--region", "us-east-1", "posix", root)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		_ = cmd.Wait() // killed
	})
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			return "http://" + address
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestALakeInAnObjectStoreBehindARESTCatalog(t *testing.T) {
	endpoint := startS3(t)
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
		"warehouse": "s3://lake/warehouse", "s3.endpoint": endpoint, "s3.region": "us-east-1", "s3.access-key-id": "lakekey", "s3.secret-access-key": "lakesecret",
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer((&laketest.RESTCatalog{Inner: inner, Token: "right"}).Handler())
	t.Cleanup(server.Close)
	lake, log, w := lakeOf(t, func(c *lakehouse.Config) {
		c.Dir, c.CacheBytes = filepath.Join(dir, "data"), 1
		c.Catalog = lakehouse.CatalogConfig{URI: server.URL, Token: headlessly.NewSecret("right")}
		c.S3 = lakehouse.S3Config{Endpoint: endpoint, Region: "us-east-1", AccessKeyID: "lakekey", SecretAccessKey: headlessly.NewSecret("lakesecret")}
	})
	const count = "SELECT count(*) AS n, count(DISTINCT message_id) AS ids FROM events"
	for i := range 4 {
		log.Append(append(laketest.Records("acme", i*10, i*10+10), laketest.Records("beta", i, i+1)...)...)
		flush(t, w)
	}
	log.Append(laketest.Records("acme", 40, 45)...)
	for range 2 { // the second time after the cache was emptied
		if got, want := ask(t, lake, "acme", count, lakehouse.FormatCSV), "n,ids\n45,45\n"; got != want {
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
	if got, want := ask(t, lake, "", count, lakehouse.FormatCSV), "n,ids\n49,49\n"; got != want {
		t.Errorf("all tenants: got %q, want %q", got, want)
	}
	left, err := os.ReadDir(filepath.Join(dir, "data", "cache"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d copies are in a cache of one byte (%v)", len(left), err)
	}
}
