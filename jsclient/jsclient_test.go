package jsclient_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/jsclient"
	"github.com/headlessly/headlessly/jsclient/internal/bundle"
)

func TestTheCommittedFilesAreWhatTheSourcesGive(t *testing.T) {
	files, err := bundle.Build(t.Context(), ".", jsclient.Version)
	if err != nil {
		t.Fatal(err)
	}
	built := map[string]bool{}
	for _, f := range files {
		built[f.Name] = true
		got, err := os.ReadFile(filepath.FromSlash(f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, f.Data) {
			t.Errorf("%s: got %d bytes, want %d from the sources: run go generate ./jsclient and commit", f.Name, len(got), len(f.Data))
		}
	}
	entries, err := os.ReadDir("dist")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() && !built["dist/"+e.Name()] {
			t.Errorf("dist/%s is not built from anything", e.Name())
		}
	}
}

func TestThePackagesCarryTheScriptsVersion(t *testing.T) {
	for _, name := range []string{"js", "node"} {
		b, err := os.ReadFile(filepath.Join("packages", name, "package.json"))
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ Version string }
		if err := json.Unmarshal(b, &p); err != nil {
			t.Fatal(err)
		}
		if p.Version != jsclient.Version {
			t.Errorf("@headlessly/%s: got version %s, want %s", name, p.Version, jsclient.Version)
		}
	}
}

// gzipped is the size of b as gzip -9 packs it.
func gzipped(t testing.TB, b []byte) int {
	t.Helper()
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Len()
}

func TestTheScriptsStayWithinTheirSizes(t *testing.T) {
	for name, want := range map[string]int{jsclient.Full: 9000, jsclient.Pageviews: 2200} {
		v, ok := jsclient.Script(name)
		if !ok {
			t.Fatalf("no script %q", name)
		}
		if got := gzipped(t, v.JS); got > want {
			t.Errorf("%s: got %d bytes gzip -9, want at most %d", name, got, want)
		}
	}
}

func TestTheStubStaysWithinItsSize(t *testing.T) {
	if got, want := len(jsclient.Stub()), 200; got > want {
		t.Errorf("got %d bytes, want at most %d", got, want)
	}
}

func TestForPicksTheSmallestBuildThatDoesTheJob(t *testing.T) {
	for query, want := range map[string]string{
		"":                                    jsclient.Full,
		"auto=":                               jsclient.Full,
		"auto=true":                           jsclient.Full,
		"auto=pageviews":                      jsclient.Pageviews,
		"auto=+pageviews+":                    jsclient.Pageviews,
		"auto=false":                          jsclient.Pageviews,
		"auto=pageviews,errors":               jsclient.Full,
		"auto=nonsense":                       jsclient.Full,
		"auto=pageviews&spa=hash&key=hly_pk_": jsclient.Pageviews,
		"auto=pageviews&cookieless":           jsclient.Pageviews,
		"auto=pageviews&consent=wait":         jsclient.Full,
		"sample=0.5&auto=pageviews":           jsclient.Full,
		"auto=pageviews&release=shop@1":       jsclient.Full,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := jsclient.For(pairs(values)).Name; got != want {
			t.Errorf("For(%q): got %s, want %s", query, got, want)
		}
	}
}

func pairs(values url.Values) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for name, all := range values {
			for _, v := range all {
				if !yield([]byte(name), []byte(v)) {
					return
				}
			}
		}
	}
}

func TestVariantsAreNamedByTheirContent(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range jsclient.Variants() {
		if len(v.Hash) != 16 || !strings.HasPrefix(v.Integrity, "sha384-") || len(v.JS) == 0 {
			t.Errorf("%s: got hash %q, integrity %q, %d bytes", v.Name, v.Hash, v.Integrity, len(v.JS))
		}
		if seen[v.Hash] {
			t.Errorf("%s shares its hash with another variant", v.Name)
		}
		seen[v.Hash] = true
	}
	if _, ok := jsclient.Script("no such"); ok {
		t.Error("got a script for an unknown name")
	}
}

func TestTheScriptUsesNothingThatAStrictPolicyForbids(t *testing.T) {
	for _, v := range jsclient.Variants() {
		for _, word := range []string{"eval(", "new Function", "innerHTML", "document.write", "setAttribute(\"style\"", ".cssText"} {
			if bytes.Contains(v.JS, []byte(word)) {
				t.Errorf("%s contains %s", v.Name, word)
			}
		}
	}
}
