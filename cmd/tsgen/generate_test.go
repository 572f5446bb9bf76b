package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/headlessly/headlessly/connectors/graph"
)

func TestTheCommittedTypesAreWhatTheGraphDeclares(t *testing.T) {
	files := generate(graph.BuiltinTypes())
	if len(files) < 2 {
		t.Fatalf("generate gives %d files", len(files))
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", "..", "jsclient", "packages", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("jsclient/packages/%s is not what the types give: run go generate ./cmd/tsgen and commit", name)
		}
	}
}
