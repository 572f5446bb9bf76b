package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/cmd/control"
)

// TestAFileThatLacksRowsIsToldBesideIt asks for answers that have no place to
// say that rows were left out, and for a table, which has one.
func TestAFileThatLacksRowsIsToldBesideIt(t *testing.T) {
	for _, c := range []struct {
		name, format string
		cut, told    bool
	}{
		{"a whole file", "csv", false, false},
		{"a file that was cut", "csv", true, true},
		{"a table that was cut", "table", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.cut {
					w.Header().Set(control.HeaderTruncated, "true")
				}
				_, _ = w.Write([]byte("n\n1\n"))
			}))
			defer srv.Close()
			var out, err bytes.Buffer
			if err := runSQL(t.Context(), &target{url: srv.URL, tenant: "acme", key: "k"}, control.Query{SQL: "select 1", Format: c.format}, IO{Out: &out, Err: &err}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(err.String(), "left out"); out.String() != "n\n1\n" || got != c.told {
				t.Errorf("got %q and %q, told %v, want %v", out.String(), err.String(), got, c.told)
			}
		})
	}
}
