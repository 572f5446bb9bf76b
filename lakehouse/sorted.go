package lakehouse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/compute"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go/table"
)

// gathered is the rows of files in memory, column by column as they were read.
type gathered struct {
	schema  *arrow.Schema
	chunks  [][]arrow.Array
	rows    int64
	files   int     // whose rows these are
	weights []int64 // bytes of the rows of those, and what was seen of one that was too much
}

// gather reads as many of the first files as take compactBytes at most, and no
// more than one record batch beyond. Release it.
func gather(ctx context.Context, t *table.Table, group []table.FileScanTask) (*gathered, error) {
	schema, err := table.SchemaToArrowSchema(t.Schema(), nil, true, false) // as scanned, with field ids
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	g := &gathered{schema: schema, chunks: make([][]arrow.Array, schema.NumFields())}
	total := int64(0)
	for _, task := range group {
		rows, bytes, err := g.read(ctx, t, task, compactBytes-total)
		if err != nil {
			g.release(0)
			return nil, err
		}
		g.weights = append(g.weights, bytes)
		if total += bytes; total > compactBytes {
			break
		}
		g.rows += rows
		g.files++
	}
	return g, nil
}

// read adds a file's rows, unless they take more than room: then none.
func (g *gathered) read(ctx context.Context, t *table.Table, task table.FileScanTask, room int64) (rows, bytes int64, err error) {
	before := len(g.chunks[0])
	for rec, err := range recordsOf(ctx, t, task) {
		if err != nil {
			return 0, 0, err
		}
		rows, bytes = rows+rec.NumRows(), bytes+recordBytes(rec)
		for i := range g.chunks {
			c := rec.Column(i)
			c.Retain()
			g.chunks[i] = append(g.chunks[i], c)
		}
		rec.Release()
		if bytes > room {
			g.release(before)
			return 0, bytes, nil
		}
	}
	if rows != task.File.Count() {
		return 0, 0, fmt.Errorf("%s holds %d rows where the table says %d", task.File.FilePath(), rows, task.File.Count())
	}
	return rows, bytes, nil
}

// release frees what was read behind the first record batches.
func (g *gathered) release(first int) {
	for i, chunks := range g.chunks {
		for _, c := range chunks[min(first, len(chunks)):] {
			c.Release()
		}
		g.chunks[i] = chunks[:min(first, len(chunks))]
	}
}

// recordBytes is about what a record batch takes in memory.
func recordBytes(rec arrow.RecordBatch) (n int64) {
	const fixed = 8 // a number, or where a text ends
	for _, c := range rec.Columns() {
		n += fixed * int64(c.Len())
		if v, ok := c.(interface{ ValueBytes() []byte }); ok {
			n += int64(len(v.ValueBytes()))
		}
	}
	return n
}

// sorted gives all rows as one record batch in the table's order. What was read
// of a column goes as soon as it is joined: the rows are in memory once, not
// twice.
func (g *gathered) sorted(ctx context.Context, one *layout) (arrow.RecordBatch, error) {
	columns := make([]arrow.Array, len(g.chunks))
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	for i, chunks := range g.chunks {
		if len(chunks) == 0 {
			chunks = []arrow.Array{array.MakeArrayOfNull(memory.DefaultAllocator, g.schema.Field(i).Type, 0)}
		}
		var err error
		if columns[i], err = array.Concatenate(chunks, memory.DefaultAllocator); err != nil {
			return nil, fmt.Errorf("join column %s: %w", g.schema.Field(i).Name, err)
		}
		for _, c := range chunks {
			c.Release()
		}
		g.chunks[i] = nil
	}
	order, err := sortOrder(g.schema, columns, one)
	if err != nil {
		return nil, err
	}
	defer order.Release()
	for i, c := range columns {
		sorted, err := compute.TakeArray(ctx, c, order)
		if err != nil {
			return nil, fmt.Errorf("sort column %s: %w", g.schema.Field(i).Name, err)
		}
		c.Release()
		columns[i] = sorted
	}
	return array.NewRecordBatch(g.schema, columns, g.rows), nil
}

// sortOrder is the rows' numbers in the table's order.
func sortOrder(schema *arrow.Schema, columns []arrow.Array, one *layout) (arrow.Array, error) {
	find := func(name string) arrow.Array {
		if i := schema.FieldIndices(name); len(i) == 1 {
			return columns[i[0]]
		}
		return nil
	}
	when, ok1 := find(one.sortTime).(*array.Timestamp)
	seq, ok2 := find("log_seq").(*array.Int64)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("sort columns have types that are not known: %s", schema)
	}
	var name array.StringLike
	if one.sortEvent != "" {
		var ok bool
		if name, ok = find(one.sortEvent).(array.StringLike); !ok {
			return nil, fmt.Errorf("sort column %s is no text", one.sortEvent)
		}
	}
	rows := make([]int64, seq.Len())
	for i := range rows {
		rows[i] = int64(i)
	}
	slices.SortFunc(rows, func(a, b int64) int {
		i, j := int(a), int(b)
		if name != nil {
			if c := strings.Compare(name.Value(i), name.Value(j)); c != 0 { // null is "": first
				return c
			}
		}
		return cmp.Or(cmp.Compare(when.Value(i), when.Value(j)), cmp.Compare(seq.Value(i), seq.Value(j)))
	})
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(rows, nil)
	return b.NewArray(), nil
}
