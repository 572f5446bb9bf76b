package collector

import (
	"context"
	"sync"

	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/dedupe"
	"github.com/headlessly/headlessly/collector/enrich"
)

// batch is the work space of one request; it is pooled.
type batch struct {
	parser   fastjson.Parser
	decoder  decoder
	records  []headlessly.Record
	data     []byte // the records' bytes, one after the other
	ends     []int
	kinds    []headlessly.RecordKind
	rejected []rejection
	request  enrich.Request
	// forgotten is the tenant's [Policy.Forgotten].
	forgotten func(user, visitor string) bool
	scratch   []byte
	ids       dedupe.Batch
	repeated  int // events that are in the log already
	visit     visit
	span      context.Context // of the request
}

// Work space of a rare large batch stays out of the pool.
const (
	maxPooledBatch  = 1 << 20
	maxPooledEvents = 2_000
)

func (b *batch) reset() {
	b.records, b.data, b.ends, b.kinds, b.rejected = b.records[:0], b.data[:0], b.ends[:0], b.kinds[:0], b.rejected[:0]
	b.decoder.common = common{}
	b.repeated = 0
	b.request, b.forgotten = enrich.Request{}, nil
	b.span = nil
}

type batchPool struct{ p sync.Pool }

func (p *batchPool) get() *batch {
	if b, ok := p.p.Get().(*batch); ok {
		b.reset()
		return b
	}
	return new(batch)
}

// put gives back a batch and what its request held of the door.
func (p *batchPool) put(b *batch) {
	large := b.visit.bytes > 0 || cap(b.data) > maxPooledBatch || cap(b.ends) > maxPooledEvents
	b.visit.leave()
	if !large {
		p.p.Put(b)
	}
}

// end closes the record whose bytes were appended to data last.
func (b *batch) end(kind headlessly.RecordKind) {
	b.ends = append(b.ends, len(b.data))
	b.kinds = append(b.kinds, kind)
}

// build cuts data into records, once it does not move any more.
func (b *batch) build() []headlessly.Record {
	start := 0
	for i, end := range b.ends {
		b.records = append(b.records, headlessly.Record{Kind: b.kinds[i], Data: b.data[start:end:end]})
		start = end
	}
	return b.records
}
