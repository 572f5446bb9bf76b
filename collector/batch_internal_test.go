package collector

import (
	"bytes"
	"testing"

	"github.com/headlessly/headlessly"
)

// TestRecordsOfALargeBatchAreInMemoryThatIsLent: records grow larger than the
// body, and what they grow out of is used again.
func TestRecordsOfALargeBatchAreInMemoryThatIsLent(t *testing.T) {
	d := newDoor(&Config{MaxInFlight: 10, MaxBodyMemory: 64 << 20, Clock: headlessly.SystemClock})
	var b batch
	b.visit.door = d
	b.space(d, 100_000)
	record := bytes.Repeat([]byte("r"), 700)
	for n := range 500 {
		b.room(d)
		if free := cap(b.data) - len(b.data); free < len(record) {
			t.Fatalf("record %d: room for %d bytes, want %d", n, free, len(record))
		}
		b.data = append(b.data, record...)
		b.end(headlessly.RecordEvent)
	}
	if _, size := slabSize(cap(b.data)); size != cap(b.data) {
		t.Errorf("the records are in %d bytes, which cannot be given back", cap(b.data))
	}
	for i, r := range b.build() {
		if !bytes.Equal(r.Data, record) {
			t.Fatalf("record %d is another", i)
		}
	}
}

func TestASmallBatchKeepsItsOwnMemory(t *testing.T) {
	d := newDoor(&Config{MaxInFlight: 10, MaxBodyMemory: 64 << 20, Clock: headlessly.SystemClock})
	var b batch
	for range 3 {
		b.room(d)
		b.data = append(b.data, make([]byte, 600)...)
		b.end(headlessly.RecordEvent)
	}
	if n := cap(b.data); n >= freeBody {
		t.Errorf("%d bytes are lent for three small records", n)
	}
}
