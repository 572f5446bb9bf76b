package laketest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/apache/iceberg-go"
	icecat "github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// RESTCatalog is a writable Iceberg REST catalog over another catalog, with
// faults to order. It stands in for the real ones, which are no Go modules; it
// knows what the lakehouse uses of the protocol and no more.
type RESTCatalog struct {
	Inner icecat.Catalog
	Token string             // that every request must carry
	Props iceberg.Properties // given to clients with each table

	mu     sync.Mutex
	faults []Fault
	held   chan struct{} // closed by Release
	late   sync.WaitGroup
}

// Fault is how one commit goes wrong.
type Fault int

// Faults of a commit.
const (
	FailBefore    Fault = iota + 1 // 503, nothing was done
	FailAfter                      // 504, it was done
	Conflict                       // 409, nothing was done
	ConflictAfter                  // 409, it was done: somebody in between has sent it twice
	Late                           // no answer, it is done when [RESTCatalog.Release] is called
)

// Fail orders faults for the next commits, in order.
func (c *RESTCatalog) Fail(faults ...Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, faults...)
}

// Left is how many ordered faults have not happened yet.
func (c *RESTCatalog) Left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.faults)
}

// Forgive takes back the faults that have not happened yet.
func (c *RESTCatalog) Forgive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = nil
}

// Release does, one after the other, the commits that are late, and returns when
// they are done.
func (c *RESTCatalog) Release() {
	c.mu.Lock()
	if c.held != nil {
		close(c.held)
		c.held = nil
	}
	c.mu.Unlock()
	c.late.Wait()
}

// wait returns when late commits are done.
func (c *RESTCatalog) wait() {
	c.mu.Lock()
	if c.held == nil {
		c.held = make(chan struct{})
	}
	held := c.held
	c.mu.Unlock()
	<-held
}

func (c *RESTCatalog) nextFault() Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) == 0 {
		return 0
	}
	f := c.faults[0]
	c.faults = c.faults[1:]
	return f
}

// Handler serves the catalog.
func (c *RESTCatalog) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/config", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"defaults": map[string]string{}, "overrides": map[string]string{}})
	})
	mux.HandleFunc("POST /v1/namespaces", c.createNamespace)
	mux.HandleFunc("POST /v1/namespaces/{ns}/tables", c.createTable)
	mux.HandleFunc("GET /v1/namespaces/{ns}/tables/{table}", c.loadTable)
	mux.HandleFunc("POST /v1/namespaces/{ns}/tables/{table}", c.commit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+c.Token {
			fail(w, http.StatusUnauthorized, "NotAuthorizedException", "wrong token")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the test's client sees what is missing
}

func fail(w http.ResponseWriter, status int, kind, message string) {
	answer(w, status, map[string]any{"error": map[string]any{"message": message, "type": kind, "code": status}})
}

func failWith(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, icecat.ErrNoSuchTable):
		fail(w, http.StatusNotFound, "NoSuchTableException", err.Error())
	case errors.Is(err, icecat.ErrNamespaceAlreadyExists), errors.Is(err, icecat.ErrTableAlreadyExists):
		fail(w, http.StatusConflict, "AlreadyExistsException", err.Error())
	case errors.Is(err, table.ErrCommitFailed), strings.Contains(err.Error(), "requirement failed"):
		fail(w, http.StatusConflict, "CommitFailedException", err.Error())
	default:
		fail(w, http.StatusInternalServerError, "InternalServerError", err.Error())
	}
}

func (c *RESTCatalog) createNamespace(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Namespace []string `json:"namespace"`
	}
	err := json.NewDecoder(r.Body).Decode(&req)
	if err == nil {
		err = c.Inner.CreateNamespace(r.Context(), req.Namespace, nil)
	}
	if err != nil {
		failWith(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"namespace": req.Namespace, "properties": map[string]string{}})
}

func (c *RESTCatalog) createTable(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Name   string                 `json:"name"`
		Schema *iceberg.Schema        `json:"schema"`
		Spec   *iceberg.PartitionSpec `json:"partition-spec"`
		Order  *table.SortOrder       `json:"write-order"`
		Props  iceberg.Properties     `json:"properties"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		fail(w, http.StatusBadRequest, "BadRequestException", err.Error())
		return
	}
	opts := []icecat.CreateTableOpt{icecat.WithProperties(req.Props), icecat.WithPartitionSpec(req.Spec)}
	if req.Order != nil {
		opts = append(opts, icecat.WithSortOrder(*req.Order))
	}
	t, err := c.Inner.CreateTable(r.Context(), table.Identifier{r.PathValue("ns"), req.Name}, req.Schema, opts...)
	if err != nil {
		failWith(w, err)
		return
	}
	c.tell(w, t.MetadataLocation(), t.Metadata())
}

func (c *RESTCatalog) tell(w http.ResponseWriter, location string, meta table.Metadata) {
	answer(w, http.StatusOK, map[string]any{"metadata-location": location, "metadata": meta, "config": c.Props})
}

func (c *RESTCatalog) loadTable(w http.ResponseWriter, r *http.Request) {
	t, err := c.Inner.LoadTable(r.Context(), table.Identifier{r.PathValue("ns"), r.PathValue("table")})
	if err != nil {
		failWith(w, err)
		return
	}
	c.tell(w, t.MetadataLocation(), t.Metadata())
}

func (c *RESTCatalog) commit(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Requirements table.Requirements `json:"requirements"`
		Updates      table.Updates      `json:"updates"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		fail(w, http.StatusBadRequest, "BadRequestException", err.Error())
		return
	}
	fault := c.nextFault()
	switch fault {
	case FailBefore:
		fail(w, http.StatusServiceUnavailable, "ServiceUnavailableException", "ordered fault")
		return
	case Conflict:
		fail(w, http.StatusConflict, "CommitFailedException", "ordered fault")
		return
	}
	ctx := r.Context()
	if fault == Late {
		c.late.Add(1)
		defer c.late.Done()
		ctx = context.WithoutCancel(ctx) // the client may have gone
		c.wait()
	}
	meta, location, err := c.Inner.CommitTable(ctx, table.Identifier{r.PathValue("ns"), r.PathValue("table")}, req.Requirements, req.Updates)
	switch {
	case err != nil:
		failWith(w, err)
	case fault == ConflictAfter:
		fail(w, http.StatusConflict, "CommitFailedException", "ordered fault")
	case fault == FailAfter:
		fail(w, http.StatusGatewayTimeout, "GatewayTimeout", "ordered fault")
	default:
		answer(w, http.StatusOK, map[string]any{"metadata-location": location, "metadata": meta})
	}
}

// String names the fault.
func (f Fault) String() string {
	return fmt.Sprintf("%v", map[Fault]string{FailBefore: "503 before effect", FailAfter: "504 after effect", Conflict: "409", ConflictAfter: "409 after effect", Late: "late"}[f])
}
