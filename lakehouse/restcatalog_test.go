package lakehouse_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog/rest"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// serveCatalog mounts the lake below /iceberg for whoever has the key.
func serveCatalog(t testing.TB, lake *lakehouse.Lake) string {
	t.Helper()
	catalog := lake.RESTCatalog(func(r *http.Request) (bool, int, string) {
		switch r.Header.Get("Authorization") {
		case "Bearer admin":
			return true, 0, ""
		case "":
			return false, http.StatusUnauthorized, "no key"
		}
		return false, http.StatusForbidden, "needs the admin key"
	})
	server := httptest.NewServer(http.StripPrefix("/iceberg", catalog))
	t.Cleanup(server.Close)
	return server.URL + "/iceberg"
}

func TestAnotherIcebergClientReadsThroughTheRESTCatalog(t *testing.T) {
	lake := openLake(t, t.TempDir())
	manyFiles(t, lake, laketest.NewLog(), 3)
	cat, err := rest.NewCatalog(t.Context(), "lake", serveCatalog(t, lake), rest.WithOAuthToken("admin"))
	if err != nil {
		t.Fatal(err)
	}
	tbl, err := cat.LoadTable(t.Context(), []string{lakehouse.Namespace, lakehouse.TableEvents})
	if err != nil {
		t.Fatal(err)
	}
	data, err := tbl.Scan().ToArrowTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer data.Release()
	if data.NumRows() != 69 {
		t.Errorf("got %d rows, want 69", data.NumRows())
	}
	txn := tbl.NewTransaction()
	if err := txn.SetProperties(iceberg.Properties{"x": "y"}); err != nil {
		t.Fatal(err)
	}
	if _, err := txn.Commit(t.Context()); err == nil {
		t.Error("a client changed a table through the read-only catalog")
	}
}

func TestTheRESTCatalogAnswersEachRequest(t *testing.T) {
	lake := openLake(t, t.TempDir())
	manyFiles(t, lake, laketest.NewLog(), 1)
	base := serveCatalog(t, lake)
	const tables = "/v1/namespaces/headlessly/tables"
	for _, c := range []struct {
		name, method, path, key string
		status                  int
		holds                   string
	}{
		{"no key", "GET", "/v1/config", "", 401, `"type":"NotAuthorizedException"`},
		{"a tenant's key", "GET", tables + "/events", "hly_sk_x", 403, "needs the admin key"},
		{"a tenant's key on nothing", "GET", "/v1/nothing", "hly_sk_x", 403, "needs the admin key"},
		{"configuration", "GET", "/v1/config?warehouse=x", "admin", 200, `"overrides":{}`},
		{"namespaces", "GET", "/v1/namespaces", "admin", 200, `{"namespaces":[["headlessly"]]}`},
		{"child namespaces", "GET", "/v1/namespaces?parent=headlessly", "admin", 200, `{"namespaces":[]}`},
		{"the namespace", "GET", "/v1/namespaces/headlessly", "admin", 200, `"namespace":["headlessly"]`},
		{"the namespace is there", "HEAD", "/v1/namespaces/headlessly", "admin", 200, ""},
		{"another namespace", "GET", "/v1/namespaces/other/tables", "admin", 404, "NoSuchNamespaceException"},
		{"tables", "GET", tables, "admin", 200, `"name":"rejected"`},
		{"views", "GET", "/v1/namespaces/headlessly/views", "admin", 200, `{"identifiers":[]}`},
		{"a table", "GET", tables + "/events", "admin", 200, `"current-snapshot-id"`},
		{"a table is there", "HEAD", tables + "/events", "admin", 200, ""},
		{"another table", "GET", tables + "/nothing", "admin", 404, "NoSuchTableException"},
		{"a way out of the folder", "GET", tables + "/..%2f..%2fcatalog.db", "admin", 404, "NoSuchTableException"},
		{"a scan's report", "POST", tables + "/events/metrics", "admin", 204, ""},
		{"a commit", "POST", tables + "/events", "admin", 403, "for reading"},
		{"a drop", "DELETE", tables + "/events?purgeRequested=true", "admin", 403, "for reading"},
		{"a new namespace", "POST", "/v1/namespaces", "admin", 403, "for reading"},
		{"a rename", "POST", "/v1/tables/rename", "admin", 403, "for reading"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, base+c.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if c.key != "" {
				req.Header.Set("Authorization", "Bearer "+c.key)
			}
			resp, err := new(http.Client).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			var body bytes.Buffer
			_, err = body.ReadFrom(resp.Body)
			if closeErr := resp.Body.Close(); err != nil || closeErr != nil {
				t.Fatal(err, closeErr)
			}
			if resp.StatusCode != c.status || !strings.Contains(body.String(), c.holds) {
				t.Errorf("got %d %s, want %d with %s", resp.StatusCode, body.String(), c.status, c.holds)
			}
		})
	}
}
