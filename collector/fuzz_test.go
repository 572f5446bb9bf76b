package collector_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/headlessly/headlessly"
)

// FuzzJSON compares with encoding/json: what it takes for no JSON is never
// stored, and what is stored is valid.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"event":"x"}`, `{"events":[{"event":"a"},{}]}`, `[{"event":"a","properties":{"a":[1,2.5e3,null,true,"\u00e9\ud83d\ude00"]}}]`,
		`{"event":"x","properties":{"a":1.2.3}}`, `{"event":"x",}`, `{"event":"\x00"}`, `{"event":"x"} {}`, "\ufeff{}", `{"event":"\ud800"}`, `01`, `{"event":"x","ts":1e400}`,
		`{"type":"error","exception":{"values":[{"type":"E","value":"v"}]},"context":{"traits":{"a":1},"page":5}}`,
	} {
		f.Add([]byte(s))
	}
	g := start(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		g.log.mu.Lock()
		g.log.records = nil
		g.log.mu.Unlock()
		res, _ := g.post(t, "/e?t=acme", body)
		if res.StatusCode >= 500 && res.StatusCode != 503 {
			t.Fatalf("got %d", res.StatusCode)
		}
		events := g.log.events(t)
		if len(events) > 0 && !json.Valid(body) {
			t.Fatalf("%q is not JSON, and %d events are stored", body, len(events))
		}
		for _, e := range events {
			for name, column := range map[string]string{"properties": e.Properties, "traits": e.Traits, "context": e.Context, "error stack": e.ErrorStack} {
				if column != "" && !json.Valid([]byte(column)) {
					t.Fatalf("%s %q is not JSON", name, column)
				}
			}
		}
	})
}

// unpack is the oracle of FuzzCompressed.
func unpack(encoding string, body []byte) ([]byte, error) {
	var r io.Reader
	switch encoding {
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r = z
	case "br":
		r = brotli.NewReader(bytes.NewReader(body))
	default:
		z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	}
	return io.ReadAll(io.LimitReader(r, headlessly.MaxBodyBytes+1))
}

// FuzzCompressed: what is stored is what the plain body says.
func FuzzCompressed(f *testing.F) {
	plain := []byte(`{"event":"packed","properties":{"a":"` + strings.Repeat("b", 300) + `"}}`)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	var br bytes.Buffer
	w := brotli.NewWriter(&br)
	_, _ = w.Write(plain)
	_ = w.Close()
	for i, b := range [][]byte{gz(plain), br.Bytes(), enc.EncodeAll(plain, nil)} {
		f.Add(byte(i), b)
		f.Add(byte(i), b[:len(b)/2])
	}
	f.Add(byte(0), gz(bytes.Repeat([]byte(" "), 1<<20)))
	g := start(f)
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		encoding := []string{"gzip", "br", "zstd"}[kind%3]
		g.log.mu.Lock()
		g.log.records = nil
		g.log.mu.Unlock()
		res, _ := g.post(t, "/e?t=acme", body, "Content-Encoding: "+encoding)
		if res.StatusCode >= 500 && res.StatusCode != 503 {
			t.Fatalf("got %d", res.StatusCode)
		}
		if len(g.log.events(t)) == 0 {
			return
		}
		text, err := unpack(encoding, body)
		if err != nil || !json.Valid(text) {
			t.Fatalf("%s body is stored, but its text is %q, %v", encoding, text, err)
		}
	})
}

// FuzzHTTP speaks raw HTTP: a request that net/http refuses is not taken, and
// of one that it reads no other body is stored.
func FuzzHTTP(f *testing.F) {
	for _, s := range []string{
		"POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: 13\r\n\r\n{\"event\":\"a\"}",
		"POST /e?t=acme HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{\"event\":\"a\"}\r\n0\r\n\r\n",
		"POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{\"event\":\"a\"}",
		"POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: 13\r\nContent-Length: 0\r\n\r\n{\"event\":\"a\"}",
		"POST /e?t=acme HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{\"event\":\"a\"}\r\n0\r\n\r\n",
		"POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: +13\r\n\r\n{\"event\":\"a\"}",
		"GET /e.gif?t=acme&event=a HTTP/1.1\r\nHost: g\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		allowed, err := 0, error(nil) // requests that may store something
		for r := bufio.NewReader(bytes.NewReader(raw)); ; {
			var req *http.Request
			if req, err = http.ReadRequest(r); err != nil {
				break
			}
			var body []byte
			if body, err = io.ReadAll(req.Body); err != nil {
				break
			}
			if req.Method == http.MethodGet || json.Valid(body) {
				allowed++
			}
		}
		g := start(t)
		conn, derr := g.dial()
		if derr != nil {
			t.Fatal(derr)
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Millisecond)) // half a request is never answered
		go func() { _, _ = conn.Write(raw) }()
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
		if n := len(g.log.events(t)); n > 0 && allowed == 0 {
			t.Fatalf("%d events of %q are stored, of which net/http takes nothing: %v", n, raw, err)
		}
	})
}
