package payload

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// Gzip compresses and keeps its writers, whose tables are large. The zero
// value is ready; share one among all tenants. Safe for concurrent use.
type Gzip struct{ pool sync.Pool }

// Compress compresses the parts as one.
func (g *Gzip) Compress(parts ...[]byte) ([]byte, error) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	out := bytes.NewBuffer(make([]byte, 0, size/4+256))
	z, _ := g.pool.Get().(*gzip.Writer)
	if z == nil {
		var err error
		if z, err = gzip.NewWriterLevel(out, gzip.BestSpeed); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
	} else {
		z.Reset(out)
	}
	for _, p := range parts {
		if _, err := z.Write(p); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	g.pool.Put(z)
	return out.Bytes(), nil
}
