package lakehouse_test

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/iceberg-go"
	icesql "github.com/apache/iceberg-go/catalog/sql"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// restLake is a lake whose catalog is a REST service, here our stand-in, and
// whose warehouse is a folder.
func restLake(t testing.TB) (*lakehouse.Lake, *laketest.RESTCatalog) {
	t.Helper()
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
	inner, err := icesql.NewCatalog("standin", db, icesql.SQLite, iceberg.Properties{"warehouse": "file://" + filepath.Join(dir, "warehouse")})
	if err != nil {
		t.Fatal(err)
	}
	standin := &laketest.RESTCatalog{Inner: inner, Token: "right"}
	server := httptest.NewServer(standin.Handler())
	t.Cleanup(server.Close)
	lake := openLake(t, filepath.Join(dir, "data"), func(c *lakehouse.Config) {
		c.Catalog = lakehouse.CatalogConfig{URI: server.URL, Token: headlessly.NewSecret("right")}
	})
	return lake, standin
}

func TestTablesLiveInARESTCatalog(t *testing.T) {
	lake, _ := restLake(t)
	manyFiles(t, lake, laketest.NewLog(), 3)
	got := countIDs(t, lake)
	wantOnce(t, got, "acme", 60)
	if _, err := lake.Compact(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	if s := status(t, lake); s.Files != 2 || s.Rows != 69 {
		t.Errorf("got %+v", s)
	}
	wantSound(t, lake)
}

func TestAWrongTokenIsToldAtOnce(t *testing.T) {
	_, standin := restLake(t)
	server := httptest.NewServer(standin.Handler())
	t.Cleanup(server.Close)
	cfg := lakehouse.Default(t.TempDir())
	cfg.Catalog = lakehouse.CatalogConfig{URI: server.URL, Token: headlessly.NewSecret("wrong")}
	if _, err := lakehouse.Open(t.Context(), cfg); err == nil {
		t.Fatal("the lake opened with a wrong token")
	}
}

func TestACatalogOfAWSIsSignedFor(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	signed := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case signed <- r.Header.Get("Authorization"):
		default:
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	cfg := lakehouse.Default(t.TempDir())
	cfg.Catalog, cfg.S3.Region = lakehouse.CatalogConfig{URI: server.URL, SigV4: "glue"}, "eu-central-1"
	if _, err := lakehouse.Open(t.Context(), cfg); err == nil {
		t.Error("the lake opened where the catalog refuses")
	}
	if got := <-signed; !strings.HasPrefix(got, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(got, "/eu-central-1/glue/aws4_request") {
		t.Errorf("the request is signed %q", got)
	}
}

func TestRowsAreThereOnceWhateverTheCatalogAnswers(t *testing.T) {
	for name, faults := range map[string][]laketest.Fault{
		"unavailable":           {laketest.FailBefore, laketest.FailBefore},
		"the answer is lost":    {laketest.FailAfter},
		"lost again and again":  {laketest.FailAfter, laketest.FailBefore, laketest.FailAfter},
		"conflict":              {laketest.Conflict, laketest.Conflict},
		"conflict, then lost":   {laketest.Conflict, laketest.FailAfter},
		"unavailable, then 409": {laketest.FailBefore, laketest.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			lake, standin := restLake(t)
			log := laketest.NewLog()
			w, stop := startWriter(t, lake, log)
			log.Append(laketest.Records("acme", 0, 10)...)
			flush(t, w)
			standin.Fail(faults...)
			log.Append(laketest.Records("acme", 10, 20)...)
			flush(t, w)
			log.Append(laketest.Records("acme", 20, 30)...)
			flush(t, w)
			stop()
			if n := standin.Left(); n != 0 {
				t.Errorf("%d faults did not happen", n)
			}
			if n := len(filesOf(t, lake)); n != 3 {
				t.Errorf("the table names %d files, want 3", n)
			}
			wantOnce(t, countIDs(t, lake), "acme", 30)
			wantSound(t, lake)
		})
	}
}

// TestNoRowIsLostWhateverTheCatalogAnswersToAnExchange: files are removed only
// where the table does not name them.
func TestNoRowIsLostWhateverTheCatalogAnswersToAnExchange(t *testing.T) {
	person := lakehouse.Person{Tenant: "acme", Users: []string{canary}}
	for what, exchange := range map[string]func(ctx context.Context, lake *lakehouse.Lake) error{
		"compact": func(ctx context.Context, lake *lakehouse.Lake) error {
			_, err := lake.Compact(ctx, true, nil)
			return err
		},
		"forget": func(ctx context.Context, lake *lakehouse.Lake) error {
			_, err := lake.Forget(ctx, person, nil)
			return err
		},
	} {
		for _, fault := range []laketest.Fault{laketest.FailBefore, laketest.FailAfter, laketest.Conflict, laketest.ConflictAfter} {
			t.Run(what+", "+fault.String(), func(t *testing.T) {
				lake, standin := restLake(t)
				log := laketest.NewLog()
				w, stop := startWriter(t, lake, log)
				for n := range 3 {
					log.Append(append(laketest.Records("acme", n*10, n*10+10), of(5000+n, canary, "visitor"))...)
					flush(t, w)
				}
				stop()
				standin.Fail(fault)
				if err := exchange(t.Context(), lake); err != nil { // it may fail, and is done again
					if err := exchange(t.Context(), lake); err != nil {
						t.Fatal(err)
					}
				}
				if n := standin.Left(); n != 0 {
					t.Errorf("%d faults did not happen", n)
				}
				if _, err := lake.Forget(t.Context(), person, nil); err != nil {
					t.Fatal(err)
				}
				wantOnce(t, countIDs(t, lake), "acme", 30)
				wantSound(t, lake)
			})
		}
	}
}

// TestADeletionCountsWhatItDeletedWhateverTheCatalogAnswers: the rows that a
// receipt tells of are those that are gone, also where the catalog has made the
// change and said otherwise.
func TestADeletionCountsWhatItDeletedWhateverTheCatalogAnswers(t *testing.T) {
	person := lakehouse.Person{Tenant: "acme", Users: []string{canary}}
	for _, fault := range []laketest.Fault{laketest.Conflict, laketest.ConflictAfter, laketest.FailAfter} {
		for others, rows := range map[string]int{"beside rows of others": 10, "alone in its file": 0} {
			t.Run(fault.String()+", "+others, func(t *testing.T) {
				lake, standin := restLake(t)
				log := laketest.NewLog()
				w, stop := startWriter(t, lake, log)
				for n := range 3 {
					log.Append(append(laketest.Records("acme", n*10, n*10+rows), of(5000+n, canary, "visitor"))...)
					flush(t, w)
				}
				stop()
				standin.Fail(fault)
				report, err := lake.Forget(t.Context(), person, nil)
				if err != nil {
					t.Fatal(err)
				}
				if n := standin.Left(); n != 0 {
					t.Errorf("%d faults did not happen", n)
				}
				for _, r := range report {
					if r.Table == lakehouse.TableEvents && (r.Rows != 3 || r.Files != 3 || r.Rewritten != int64(3*rows)) {
						t.Errorf("got %+v, want 3 rows of 3 files, and %d rewritten", r, 3*rows)
					}
				}
				if left, err := lake.Remaining(t.Context(), person); err != nil || len(left) != 0 {
					t.Errorf("left: %v, %v", left, err)
				}
				wantSound(t, lake)
			})
		}
	}
}
