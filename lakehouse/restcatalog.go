package lakehouse

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	icecat "github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// CatalogAccess says whether a request may read every tenant's tables. Where
// it may not, status is what to answer (401 or 403) and reason why, for the
// person at the other end.
type CatalogAccess func(*http.Request) (ok bool, status int, reason string)

// RESTCatalog serves the lake as a read-only Iceberg REST catalog, so that
// other engines attach with one URL. Mount it below any path with
// http.StripPrefix; the catalog's URI is that path, to which clients append
// /v1/…. A table holds the rows of all tenants and a client reads its files by
// itself, so access must be for the operator alone.
//
// It gives tables' metadata, not their files: engines need to reach the
// warehouse (the folder, or the object store with credentials of their own).
// Everything that would change something is answered with 403.
func (l *Lake) RESTCatalog(access CatalogAccess) http.Handler {
	c := &restCatalog{lake: l}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /v1/config":                                         c.config,
		"GET /v1/namespaces":                                     c.namespaces,
		"GET /v1/namespaces/{namespace}":                         c.namespace,
		"GET /v1/namespaces/{namespace}/tables":                  c.tables,
		"GET /v1/namespaces/{namespace}/tables/{table}":          c.table,
		"GET /v1/namespaces/{namespace}/views":                   c.views,
		"POST /v1/namespaces/{namespace}/tables/{table}/metrics": c.metrics,
		"/": c.refuse,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if ok, status, reason := access(r); !ok {
				restFail(w, status, map[int]string{401: "NotAuthorizedException"}[status], reason)
				return
			}
			if err := serve(w, r); err != nil {
				l.cfg.Logger.Error("lakehouse_rest_catalog_failed", "path", r.URL.Path, "error", err)
				restFail(w, http.StatusInternalServerError, "InternalServerError", "the catalog could not be read")
			}
		})
	}
	return mux
}

type restCatalog struct{ lake *Lake }

// restFail answers in the form that Iceberg clients expect.
func restFail(w http.ResponseWriter, status int, kind, message string) {
	if kind == "" {
		kind = "ForbiddenException"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message, "type": kind, "code": status}}) // the client has gone if this fails
}

func restAnswer(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client has gone if this fails
	return nil
}

func (c *restCatalog) config(w http.ResponseWriter, _ *http.Request) error {
	return restAnswer(w, map[string]any{
		"defaults": map[string]string{}, "overrides": map[string]string{},
		"endpoints": []string{
			"GET /v1/{prefix}/namespaces", "GET /v1/{prefix}/namespaces/{namespace}", "HEAD /v1/{prefix}/namespaces/{namespace}",
			"GET /v1/{prefix}/namespaces/{namespace}/tables", "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
			"HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}", "GET /v1/{prefix}/namespaces/{namespace}/views",
		},
	})
}

func (c *restCatalog) namespaces(w http.ResponseWriter, r *http.Request) error {
	found := [][]string{{Namespace}}
	if r.URL.Query().Get("parent") != "" {
		found = [][]string{} // ours has no children
	}
	return restAnswer(w, map[string]any{"namespaces": found})
}

// known answers 404 for a namespace that is not ours.
func (c *restCatalog) known(w http.ResponseWriter, r *http.Request) bool {
	if r.PathValue("namespace") == Namespace {
		return true
	}
	restFail(w, http.StatusNotFound, "NoSuchNamespaceException", fmt.Sprintf("namespace %q does not exist; the only one is %q", r.PathValue("namespace"), Namespace))
	return false
}

func (c *restCatalog) namespace(w http.ResponseWriter, r *http.Request) error {
	if !c.known(w, r) {
		return nil
	}
	return restAnswer(w, map[string]any{"namespace": []string{Namespace}, "properties": map[string]string{}})
}

func (c *restCatalog) tables(w http.ResponseWriter, r *http.Request) error {
	if !c.known(w, r) {
		return nil
	}
	found := []map[string]any{}
	for _, one := range c.lake.layouts {
		found = append(found, map[string]any{"namespace": []string{Namespace}, "name": one.name})
	}
	return restAnswer(w, map[string]any{"identifiers": found})
}

func (c *restCatalog) views(w http.ResponseWriter, r *http.Request) error {
	if !c.known(w, r) {
		return nil
	}
	return restAnswer(w, map[string]any{"identifiers": []any{}})
}

func (c *restCatalog) table(w http.ResponseWriter, r *http.Request) error {
	if !c.known(w, r) {
		return nil
	}
	t, err := c.lake.load(r.Context(), r.PathValue("table"))
	if errors.Is(err, icecat.ErrNoSuchTable) {
		restFail(w, http.StatusNotFound, "NoSuchTableException", fmt.Sprintf("table %q does not exist", r.PathValue("table")))
		return nil
	}
	if err != nil {
		return err
	}
	tag := `"` + t.MetadataLocation()[strings.LastIndexByte(t.MetadataLocation(), '/')+1:] + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	metadata, err := readMetadata(r, t)
	if err != nil {
		return err
	}
	return restAnswer(w, map[string]any{"metadata-location": t.MetadataLocation(), "metadata": metadata, "config": map[string]string{}})
}

// readMetadata is the table's metadata as it stands in its file, which other
// engines read better than anything written anew.
func readMetadata(r *http.Request, t *table.Table) (json.RawMessage, error) {
	fsys, err := t.FS(r.Context())
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	f, err := fsys.Open(t.MetadataLocation())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", t.MetadataLocation(), err)
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", t.MetadataLocation(), err)
	}
	return b, nil
}

// metrics takes the reports that clients send about their scans, and drops
// them.
func (c *restCatalog) metrics(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *restCatalog) refuse(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		restFail(w, http.StatusNotFound, "NoSuchEndpointException", "there is nothing here; the catalog's paths begin with /v1/")
		return nil
	}
	restFail(w, http.StatusForbidden, "ForbiddenException", "this catalog is for reading; rows come in through the gateway")
	return nil
}
