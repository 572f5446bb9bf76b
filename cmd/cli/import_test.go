package cli_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/cmd/cli"
)

// takesAll is a gateway's door that takes every line.
func takesAll(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		raw, err := io.ReadAll(z)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, `{"accepted":%d,"done":true}`, bytes.Count(raw, []byte("\n")))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestBadRowsOfSeveralFilesAreAllKept: files that share a file for their bad
// rows, because they were told to or have the same name, do not write over each
// other's; neither does one that was imported before lose its own.
func TestBadRowsOfSeveralFilesAreAllKept(t *testing.T) {
	for name, rejected := range map[string]string{"one file is named": "--rejected=bad.ndjson", "files of one name": "--rejected="} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv("HEADLESSLY_API_KEY", "hly_sk_x")
			door := takesAll(t)
			write := func(folder string, rows string) string {
				if err := os.MkdirAll(folder, 0o700); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(folder, "part.ndjson")
				if err := os.WriteFile(path, []byte(rows), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			a, b, c := write("a", "bad of a\n{\"event\":\"x\"}\n"), write("b", "{\"event\":\"y\"}\nbad of b\n"), write("c", "bad of c\n{\"event\":\"z\"}\n")
			load := func(files ...string) {
				t.Helper()
				var out bytes.Buffer
				args := append([]string{"import", "--url", "http://127.0.0.1:1", "--tenant", "acme", "--events-url", door, "--no-table-check", "--state", "state", rejected}, files...)
				if code := cli.Run(t.Context(), args, cli.IO{In: strings.NewReader(""), Out: &out, Err: &out}); code != 0 {
					t.Fatalf("import ended with %d: %s", code, out.String())
				}
			}
			path := "part.ndjson.rejected.ndjson"
			if !strings.HasSuffix(rejected, "=") {
				path = "bad.ndjson"
			}
			want := func(when string, rows ...string) {
				t.Helper()
				raw, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
				if len(lines) != len(rows) {
					t.Fatalf("%s: %d bad rows were kept, want %d:\n%s", when, len(lines), len(rows), raw)
				}
				for i, row := range rows {
					if !strings.Contains(lines[i], row) {
						t.Errorf("%s: line %d is %s, want %s", when, i+1, lines[i], row)
					}
				}
			}
			load(a, b)
			want("two files", "bad of a", "bad of b")
			load(a, b, c)
			want("a third behind those", "bad of a", "bad of b", "bad of c")
		})
	}
}
