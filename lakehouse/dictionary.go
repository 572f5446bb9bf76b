package lakehouse

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// dictionaryWriter collects texts as indices of a dictionary. Rows are sorted,
// so the same text often follows itself; and most columns of most rows are
// null, so a null is only counted until a text follows.
type dictionaryWriter struct {
	typ     *arrow.DictionaryType
	values  *array.StringBuilder
	known   map[string]int32
	last    string
	lastAt  int32
	rows    int
	indices []int32 // of the rows up to the last text
	nulls   int     // among them
}

// noText is the index of a null.
const noText = -1

func newDictionaryWriter(mem memory.Allocator, t *arrow.DictionaryType) *dictionaryWriter {
	return &dictionaryWriter{typ: t, values: array.NewStringBuilder(mem), known: map[string]int32{}, lastAt: noText}
}

func (w *dictionaryWriter) add(s string, nullable bool) {
	w.rows++
	if s == "" && nullable {
		return
	}
	if w.lastAt < 0 || s != w.last {
		at, ok := w.known[s]
		if !ok {
			at = int32(len(w.known)) //nolint:gosec // below the rows of a row group
			s = strings.Clone(s)     // else the whole record would stay in memory
			w.known[s] = at
			w.values.Append(validText(s))
		}
		w.last, w.lastAt = s, at
	}
	w.pad(w.rows - 1)
	w.indices = append(w.indices, w.lastAt)
}

// pad adds nulls until there are indices of n rows.
func (w *dictionaryWriter) pad(n int) {
	w.nulls += n - len(w.indices)
	for len(w.indices) < n {
		w.indices = append(w.indices, noText)
	}
}

// finish gives what was added and begins anew. The indices are the writer's own
// memory: they are valid until the next add.
func (w *dictionaryWriter) finish() arrow.Array {
	w.pad(w.rows)
	var valid *memory.Buffer
	if w.nulls > 0 {
		bits := make([]byte, bitutil.BytesForBits(int64(w.rows)))
		for i, at := range w.indices {
			if at < 0 {
				w.indices[i] = 0
			} else {
				bitutil.SetBit(bits, i)
			}
		}
		valid = memory.NewBufferBytes(bits)
	}
	data := array.NewData(w.typ.IndexType, w.rows, []*memory.Buffer{valid, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(w.indices))}, nil, w.nulls, 0)
	defer data.Release()
	indices := array.NewInt32Data(data)
	defer indices.Release()
	values := w.values.NewArray()
	defer values.Release()
	clear(w.known)
	w.last, w.lastAt, w.rows, w.nulls, w.indices = "", noText, 0, 0, w.indices[:0]
	return array.NewDictionaryArray(w.typ, indices, values)
}
