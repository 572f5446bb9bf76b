package lakehouse_test

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

const benchRows = 100_000

// benchRecords are rows of tenants' traffic, interleaved.
func benchRecords(tenants int) []headlessly.Record {
	records := make([]headlessly.Record, benchRows)
	for n := range records {
		records[n] = laketest.Record(laketest.Event(fmt.Sprintf("tenant-%d", n%tenants), n))
	}
	return records
}

// BenchmarkIceberg compares the whole way from log frame to committed Iceberg
// table with plain pqarrow writing the same rows, ready-made as Arrow, into one
// file: the ratio that the README states is iceberg rows/s over pqarrow rows/s.
func BenchmarkIceberg(b *testing.B) {
	for _, tenants := range []int{1, 50} {
		records := benchRecords(tenants)
		batches := benchBatches(b, records)
		b.Run(fmt.Sprintf("tenants=%d/iceberg", tenants), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				benchIceberg(b, records)
			}
			b.ReportMetric(benchRows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
		b.Run(fmt.Sprintf("tenants=%d/pqarrow", tenants), func(b *testing.B) {
			b.ReportAllocs()
			var size int
			for b.Loop() {
				size = benchPlain(b, batches)
			}
			b.ReportMetric(benchRows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(size)/benchRows, "B/row")
		})
	}
}

func benchIceberg(b *testing.B, records []headlessly.Record) {
	b.Helper()
	b.StopTimer()
	log := laketest.NewLog()
	for from := 0; from < len(records); from += 1000 {
		log.Append(records[from:min(from+1000, len(records))]...)
	}
	lake := openLake(b, b.TempDir(), func(c *lakehouse.Config) { c.MaxBatchBytes = 256 << 20 })
	b.StartTimer()
	w, stop := startWriter(b, lake, log)
	for w.Stats().Taken < uint64(len(records)/1000) {
		time.Sleep(time.Millisecond)
	}
	flush(b, w)
	b.StopTimer()
	stop()
	if s := w.Stats(); s.Rows != int64(len(records)) {
		b.Fatalf("committed %d rows, want %d", s.Rows, len(records))
	}
	b.StartTimer()
}

// benchBatches are the rows as Arrow, as they come back from a table.
func benchBatches(b *testing.B, records []headlessly.Record) []arrow.RecordBatch {
	b.Helper()
	log := laketest.NewLog()
	log.Append(records[:headlessly.MaxFrameRecords-1]...)
	log.Append(records[headlessly.MaxFrameRecords-1:]...)
	lake := openLake(b, b.TempDir(), func(c *lakehouse.Config) { c.MaxBatchBytes = 256 << 20 })
	w, stop := startWriter(b, lake, log)
	flush(b, w)
	stop()
	tbl, err := lake.Table(b.Context(), lakehouse.TableEvents)
	if err != nil {
		b.Fatal(err)
	}
	_, it, err := tbl.Scan().ToArrowRecords(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var out []arrow.RecordBatch
	for rec, err := range it {
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, rec)
	}
	return out
}

func benchPlain(b *testing.B, batches []arrow.RecordBatch) int {
	b.Helper()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(batches[0].Schema(), &out, parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd)),
		pqarrow.NewArrowWriterProperties(pqarrow.WithAllocator(memory.DefaultAllocator)))
	if err != nil {
		b.Fatal(err)
	}
	for _, rec := range batches {
		if err := w.WriteBuffered(rec); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	r, err := file.NewParquetReader(bytes.NewReader(out.Bytes()))
	if err != nil || r.NumRows() != benchRows {
		b.Fatalf("file has %d rows, %v", r.NumRows(), err)
	}
	return out.Len()
}

// BenchmarkFile measures the encoding of one file's sorted rows, small as one of
// many tenants has them in a commit and as large as a row group. The least time
// is told as well: it hardly depends on what else the machine does.
func BenchmarkFile(b *testing.B) {
	for _, rows := range []int{200, 2_000, 64_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			encode, err := lakehouse.EventsFile(laketest.Records("acme", 0, rows))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			least, size := time.Duration(math.MaxInt64), 0
			for b.Loop() {
				var out bytes.Buffer
				began := time.Now()
				if err := encode(&out); err != nil {
					b.Fatal(err)
				}
				least, size = min(least, time.Since(began)), out.Len()
			}
			b.ReportMetric(float64(least.Nanoseconds())/float64(rows), "least-ns/row")
			b.ReportMetric(float64(size)/float64(rows), "B/row")
		})
	}
}
