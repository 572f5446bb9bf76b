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
	parsing  *parsing // nil while nothing is parsed
	decoder  decoder
	records  []headlessly.Record
	data     []byte // the records' bytes, one after the other
	ends     []int
	kinds    []headlessly.RecordKind
	rejected []rejection
	request  enrich.Request
	// forgotten is the tenant's [Policy.Forgotten].
	forgotten func(user, visitor string) bool
	ids       dedupe.Batch
	single    [1]*fastjson.Value
	repeated  int // events that are in the log already
	visit     visit
	span      context.Context // of the request
}

// parsing is what a request needs while it is parsed, several times the size of
// its body. Only as many are in use as there are turns at the processors.
type parsing struct {
	parser  fastjson.Parser
	scratch []byte
}

const (
	// maxPooledData and maxPooledEvents keep the work space of a large batch out
	// of the pool of those that wait in thousands.
	maxPooledData   = 16 << 10
	maxPooledEvents = 1_000
	// maxPooledBody is the largest body whose parser is used again.
	maxPooledBody = 1 << 20
)

func (b *batch) reset() {
	b.records, b.data, b.ends, b.kinds, b.rejected = b.records[:0], b.data[:0], b.ends[:0], b.kinds[:0], b.rejected[:0]
	b.decoder.common = common{}
	b.repeated = 0
	b.request, b.forgotten = enrich.Request{}, nil
	b.span = nil
}

// space gives what parsing a body of n bytes needs.
func (b *batch) space(d *door, n int) *parsing {
	if b.parsing == nil {
		p, ok := d.parsers.Get().(*parsing)
		if !ok {
			p = new(parsing)
		}
		b.parsing = p
	}
	if n > freeBody && cap(b.data) < n {
		b.data = append(d.slabs.get(n), b.data...)
	}
	return b.parsing
}

// room makes room for another record, in memory that is lent: what append would
// make could not be given back, and a large batch's records are large.
func (b *batch) room(d *door) {
	used := len(b.data)
	need := used + spareRecord
	if n := len(b.ends); n > 0 {
		need += 2 * used / n // the others' average says what is likely
	}
	if need <= cap(b.data) || need <= maxPooledData {
		return
	}
	wide := append(d.slabs.get(need), b.data...)
	d.slabs.put(b.data)
	b.data = wide
}

// encoded gives back what is not needed any more once the records are there:
// while they wait for the disk, only they are held, and counted.
func (b *batch) encoded(d *door) {
	b.parsed(d)
	b.visit.forget()
	b.visit.release(b.visit.bytes)
	if held := counted(b.data) + int64(len(b.ends))*recordBytes; held > freeBody {
		b.visit.reserve(d, held) // what is there already is not refused
	}
}

// spareRecord is about what a record has beyond what the event's client sent.
const spareRecord = 1 << 10

// copied gives the records back that the log has a copy of.
func (b *batch) copied(d *door) {
	clear(b.records)
	b.records = b.records[:0]
	d.slabs.put(b.data)
	b.data = nil
	b.visit.release(b.visit.bytes)
}

// recordBytes is what a record needs beside its data.
const recordBytes = 48

// parsed gives the parser back. No value of it may be used any more.
func (b *batch) parsed(d *door) {
	b.single[0] = nil
	p := b.parsing
	if b.parsing = nil; p != nil && cap(p.scratch) <= maxPooledBody && len(b.visit.raw) <= maxPooledBody && len(b.visit.unpacked) <= maxPooledBody {
		d.parsers.Put(p)
	}
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
	if d := b.visit.door; d != nil {
		b.parsed(d)
		if cap(b.data) > maxPooledData {
			d.slabs.put(b.data)
			b.data = nil
		}
	}
	b.visit.leave()
	if cap(b.data) <= maxPooledData && cap(b.ends) <= maxPooledEvents && b.decoder.held() <= 2*maxPooledData {
		p.p.Put(b)
	}
}

// only gives the events of a body that is one.
func (b *batch) only(v *fastjson.Value) []*fastjson.Value {
	b.single[0] = v
	return b.single[:]
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
