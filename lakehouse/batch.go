package lakehouse

import (
	"slices"
	"strings"
)

// rowOverhead is what a row takes in memory beside its record.
const rowOverhead = 160

// batch is the rows of one table from a range of log frames. It grows while it
// is open and never changes once it is sealed.
type batch struct {
	frames logRange
	rows   []row
	bytes  int64
	names  map[string]string // one copy of each tenant and event name
}

// newBatch makes an open batch for about as many rows as the one before had.
func newBatch(rows int) *batch {
	return &batch{names: map[string]string{}, rows: make([]row, 0, rows)}
}

func (b *batch) add(r row) {
	r.tenant, r.event = b.intern(r.tenant), b.intern(r.event)
	b.rows = append(b.rows, r)
	b.bytes += int64(len(r.data)) + rowOverhead
}

// intern lets rows share names; without it each would hold its whole record's
// text.
func (b *batch) intern(s string) string {
	if v, ok := b.names[s]; ok {
		return v
	}
	s = strings.Clone(s)
	b.names[s] = s
	b.bytes += int64(len(s)) + 32
	return s
}

// through notes that every frame up to seq is in the batch.
func (b *batch) through(seq uint64) {
	if b.frames.first == 0 {
		b.frames.first = seq
	}
	b.frames.last = seq
}

// partition is the rows of one file.
type partition struct {
	tenant string
	day    int32
	rows   []*row
}

// partitions splits rows by tenant and day, each sorted as the table is.
func partitions(rows []row) []partition {
	type key struct {
		tenant string
		day    int32
	}
	byKey := map[key]*partition{}
	for i := range rows {
		r := &rows[i]
		k := key{r.tenant, day(r.received)}
		p := byKey[k]
		if p == nil {
			p = &partition{tenant: k.tenant, day: k.day}
			byKey[k] = p
		}
		p.rows = append(p.rows, r)
	}
	all := make([]partition, 0, len(byKey))
	for _, p := range byKey {
		slices.SortFunc(p.rows, compareRows)
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b partition) int {
		if c := strings.Compare(a.tenant, b.tenant); c != 0 {
			return c
		}
		return int(a.day) - int(b.day)
	})
	return all
}

// splitRows is the least rows for which a second file pays.
const splitRows = 16 << 10

// split cuts large partitions, so that every processor has a file to encode.
// The parts stay sorted ranges.
func split(parts []partition, processors int) []partition {
	var out []partition
	for _, p := range parts {
		n := max(1, min(processors/len(parts), len(p.rows)/splitRows))
		for i := range n {
			q := p
			q.rows = p.rows[len(p.rows)*i/n : len(p.rows)*(i+1)/n]
			out = append(out, q)
		}
	}
	return out
}

func compareRows(a, b *row) int {
	if a.event != b.event {
		return strings.Compare(a.event, b.event)
	}
	switch {
	case a.at < b.at:
		return -1
	case a.at > b.at:
		return 1
	case a.seq < b.seq:
		return -1
	}
	return 1
}
