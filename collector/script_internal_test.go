package collector

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func TestTheScriptIsCompressedWhenItIsAskedFor(t *testing.T) {
	js := []byte(strings.Repeat("function a(b){return b+1}\n", 500))
	s := newScript(js)
	for _, c := range []struct {
		coding string
		form   *packed
		unpack func(r io.Reader) (io.Reader, error)
	}{
		{"gzip", &s.gzip, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"br", &s.br, func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
		{"zstd", &s.zstd, func(r io.Reader) (io.Reader, error) {
			d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
			if err != nil {
				return nil, err
			}
			return d.IOReadCloser(), nil
		}},
	} {
		if c.form.bytes != nil {
			t.Errorf("%s: there before anybody asked", c.coding)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				body, coding := s.pick(c.coding)
				if coding != c.coding || len(body) == 0 || len(body) > len(js)/10 {
					t.Errorf("%s: got %d bytes of %q", c.coding, len(body), coding)
				}
			})
		}
		wg.Wait()
		r, err := c.unpack(bytes.NewReader(c.form.bytes))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, js) {
			t.Errorf("%s: holds %d bytes that are not the script, %v", c.coding, len(got), err)
		}
	}
}

// TestASmallerWindowCostsNothing: the script is as small as with the largest.
func TestASmallerWindowCostsNothing(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 32 << 10, 70_000} {
		js := bytes.Repeat([]byte("window.a=function(b,c){return b*c};"), n/35+1)[:n]
		var want bytes.Buffer
		w := brotli.NewWriterLevel(&want, brotli.BestCompression)
		_, _ = w.Write(js)
		_ = w.Close()
		if got := len(packBrotli(js)); got > want.Len()+2 {
			t.Errorf("%d bytes: %d compressed, %d with the default window", n, got, want.Len())
		}
	}
}
