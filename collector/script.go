package collector

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"iter"
	"math/bits"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"
)

const (
	scriptCache    = "public, max-age=3600, stale-while-revalidate=86400"
	immutableCache = "public, max-age=31536000, immutable"
)

// scripts are the builds of the browser script.
type scripts struct {
	builds []*script
	pick   func(query iter.Seq2[[]byte, []byte]) int
	byPath map[string]*script // the immutable twins
}

func newScripts(cfg *Config) *scripts {
	s := &scripts{pick: cfg.PickScript, byPath: map[string]*script{}}
	for _, js := range append([][]byte{cfg.Script}, cfg.SmallScripts...) {
		b := newScript(js)
		s.builds = append(s.builds, b)
		s.byPath["/v1/"+b.hash+".js"] = b
	}
	return s
}

// serve answers with the build that the query of the address asks for.
func (s *scripts) serve(ctx *fasthttp.RequestCtx) {
	n := 0
	if args := ctx.QueryArgs(); s.pick != nil && args.Len() > 0 {
		n = s.pick(args.All())
	}
	s.builds[n].serve(ctx, false)
}

// script is one build. Each of its compressed forms is made when it is first
// asked for: all of them take the processor for longer than the rest of a start.
type script struct {
	plain          []byte
	gzip, br, zstd packed
	hash           string // 16 hex digits of its SHA-256
	integrity      string // for a script tag that pins it
}

// packed is a compressed form.
type packed struct {
	once  sync.Once
	bytes []byte
}

// of gives the form of js that pack makes.
func (p *packed) of(js []byte, pack func(js []byte) []byte) []byte {
	p.once.Do(func() { p.bytes = pack(js) })
	return p.bytes
}

func newScript(js []byte) *script {
	sum, long := sha256.Sum256(js), sha512.Sum384(js)
	return &script{plain: js, hash: hex.EncodeToString(sum[:8]), integrity: "sha384-" + base64.StdEncoding.EncodeToString(long[:])}
}

// The levels are the highest there are. Writing to a buffer does not fail.
func packGzip(js []byte) []byte {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		panic(err) // only for a level that does not exist
	}
	_, _ = w.Write(js)
	_ = w.Close()
	return buf.Bytes()
}

func packBrotli(js []byte) []byte {
	var buf bytes.Buffer
	// A window beyond the script would only take memory, 32 MB by default.
	window := max(10, min(bits.Len(uint(len(js)+16)), 24))
	w := brotli.NewWriterOptions(&buf, brotli.WriterOptions{Quality: brotli.BestCompression, LGWin: window})
	_, _ = w.Write(js)
	_ = w.Close()
	return buf.Bytes()
}

func packZstd(js []byte) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // only for options that do not exist
	}
	defer w.Close() //nolint:errcheck // it writes nowhere
	return w.EncodeAll(js, nil)
}

// serve answers GET and HEAD for the script; the hash-named twin may be cached
// for good.
func (s *script) serve(ctx *fasthttp.RequestCtx, immutable bool) {
	h := &ctx.Response.Header
	body, encoding := s.pick(view(ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding)))
	etag := `"` + s.hash + encoding + `"`
	h.Set(fasthttp.HeaderETag, etag)
	h.Set(fasthttp.HeaderCacheControl, scriptCache)
	if immutable {
		h.Set(fasthttp.HeaderCacheControl, immutableCache)
	}
	// Where exactly these bytes stay for good, and what pins them: relative to
	// the address that was asked for, which may have a prefix.
	if !immutable {
		h.Set(fasthttp.HeaderContentLocation, "v1/"+s.hash+".js")
	}
	h.Set("X-Integrity", s.integrity)
	h.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set(fasthttp.HeaderAccessControlAllowOrigin, "*") // crossorigin="anonymous" is needed for integrity checks
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	if m := view(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch)); m != "" && (m == "*" || strings.Contains(m, etag)) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	h.SetContentType("text/javascript; charset=utf-8")
	if encoding != "" {
		h.Set(fasthttp.HeaderContentEncoding, encoding)
	}
	ctx.Response.SetBodyRaw(body)
}

// pick chooses the smallest form that the client takes.
func (s *script) pick(accept string) ([]byte, string) {
	switch {
	case takes(accept, "br"):
		return s.br.of(s.plain, packBrotli), "br"
	case takes(accept, "zstd"):
		return s.zstd.of(s.plain, packZstd), "zstd"
	case takes(accept, "gzip"):
		return s.gzip.of(s.plain, packGzip), "gzip"
	}
	return s.plain, ""
}

// takes says whether an Accept-Encoding header allows a coding.
func takes(accept, coding string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, param, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q := strings.TrimSpace(param)
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}
