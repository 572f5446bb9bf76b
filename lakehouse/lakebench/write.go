//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headlessly/headlessly/lakehouse"
)

// What `headlessly serve` sets for itself.
const (
	gcPercent  = 50
	softMemory = 360 << 20
)

func openLake(ctx context.Context, dir string, batch int64) (*lakehouse.Lake, error) {
	cfg := lakehouse.Default(dir)
	if batch > 0 {
		cfg.MaxBatchBytes = batch
	}
	return lakehouse.Open(ctx, cfg)
}

// writeIceberg is the product's way: from the log's frames to committed tables.
func writeIceberg(ctx context.Context, t task, c *cost) error {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(softMemory)
	lake, err := openLake(ctx, t.Dir, t.Batch)
	if err != nil {
		return err
	}
	defer lake.Close() //nolint:errcheck // the process ends
	r := &rows{tenants: t.Tenants, count: t.Count, path: t.Rows}
	w, err := lakehouse.NewWriter(lake, r)
	if err != nil {
		return err
	}
	if t.Profile != "" {
		f, err := os.Create(t.Profile)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // a profile that is cut short says so when it is read
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	err = c.measured(func() error {
		go func() { ended <- w.Run(running) }()
		return w.Flush(ctx)
	})
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	if s := w.Stats(); s.Rows != int64(t.Count) {
		return fmt.Errorf("%d rows are committed, %d were written: %+v", s.Rows, t.Count, s)
	}
	tbl, err := lake.Table(ctx, lakehouse.TableEvents)
	if err != nil {
		return err
	}
	tasks, err := tbl.Scan().PlanFiles(ctx)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, one := range tasks {
		if path := strings.TrimPrefix(one.File.FilePath(), "file://"); !seen[path] {
			seen[path] = true
			c.Files, c.Bytes = append(c.Files, path), c.Bytes+one.File.FileSizeBytes()
		}
	}
	return nil
}

// writePlain is plain pqarrow over the same rows, ready-made as Arrow: one file
// a tenant, one after the other.
func writePlain(ctx context.Context, t task, c *cost) error {
	byTenant := map[string][]arrow.RecordBatch{}
	for _, path := range t.Files {
		tenant := filepath.Dir(filepath.Dir(path))
		batches, err := readBatches(ctx, path)
		if err != nil {
			return err
		}
		byTenant[tenant] = append(byTenant[tenant], batches...)
	}
	return c.measured(func() error {
		n := 0
		for _, batches := range byTenant {
			path := filepath.Join(t.Dir, fmt.Sprintf("%d.parquet", n))
			if err := writeBatches(path, batches); err != nil {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			n, c.Bytes = n+1, c.Bytes+info.Size()
		}
		return nil
	})
}

func readBatches(ctx context.Context, path string) (out []arrow.RecordBatch, err error) {
	f, err := file.OpenParquetFile(path, false)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: 64 << 10}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	records, err := r.GetRecordReader(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	for records.Next() {
		rec := records.RecordBatch()
		rec.Retain()
		out = append(out, rec)
	}
	return out, records.Err()
}

func writeBatches(path string, batches []arrow.RecordBatch) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w, err := pqarrow.NewFileWriter(batches[0].Schema(), f, parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd)), pqarrow.DefaultWriterProps())
	if err != nil {
		return errors.Join(err, f.Close())
	}
	for _, rec := range batches {
		if err := w.WriteBuffered(rec); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close() // and the file
}

// writeDuck is DuckDB's COPY of the same rows from a table in memory.
func writeDuck(ctx context.Context, t task, c *cost) error {
	s, err := openDuck()
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.exec("CREATE TABLE rows AS SELECT * FROM read_parquet(" + list(t.Files) + ", hive_partitioning = false)"); err != nil {
		return err
	}
	target := filepath.Join(t.Dir, "out")
	err = c.measured(func() error {
		return s.exec(fmt.Sprintf("COPY (%s) TO '%s.parquet' (FORMAT parquet%s)", t.Query, target, t.Options))
	})
	if err != nil {
		return err
	}
	return filepath.Walk(t.Dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			c.Bytes += info.Size()
		}
		return errors.Join(err, ctx.Err())
	})
}
