package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// commitTries is how often a commit that lost a race is tried before its batch
// waits for the writer's next round.
const commitTries = 20

// job is a sealed batch on its way into the table.
type job struct {
	frames logRange
	rows   []row
	files  []iceberg.DataFile // written, perhaps committed
	when   *table.Table       // the table as it was when they were written
}

// commit puts a job's rows into their table, whatever happened to earlier
// attempts: the table itself says which of the batch's frames it holds. It
// returns the last log frame that is in the table.
func (l *Lake) commit(ctx context.Context, one *layout, b *job, key string, step func(string)) (uint64, error) {
	for try := 0; ; try++ {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return 0, err
		}
		through, err := committedThrough(t, key)
		if err != nil {
			return 0, err
		}
		if through >= b.frames.last {
			return through, nil // an earlier attempt landed, or another writer was here
		}
		if through >= b.frames.first {
			b.dropThrough(through)
		}
		if b.files != nil && !sameEra(b.when, t) { // they have not landed, and may be gone
			old := b.files
			b.files = nil
			if err := l.removeUnnamed(ctx, one, old...); err != nil {
				return 0, err
			}
		}
		if b.files == nil && len(b.rows) > 0 {
			step("write")
			b.when = t
			if b.files, err = l.writeFiles(ctx, t, one, b.rows); err != nil {
				return 0, err
			}
		}
		if len(b.rows) == 0 {
			return through, nil
		}
		step("commit")
		err = appendFiles(ctx, t, b.files, key, b.frames)
		switch {
		case err == nil:
			step("committed")
			return b.frames.last, nil
		case !errors.Is(err, table.ErrCommitFailed) || try >= commitTries:
			// Perhaps it landed. The caller comes again, and the table will
			// tell; nothing is deleted.
			return 0, fmt.Errorf("commit log frames %s to %s: %w", b.frames, one.name, err)
		}
		if err := pause(ctx, time.Duration(try+1)*20*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// dropThrough removes the rows of frames that are in the table already.
func (b *job) dropThrough(seq uint64) {
	kept := b.rows[:0:0]
	for _, r := range b.rows {
		if frameOf(r.seq) > seq {
			kept = append(kept, r)
		}
	}
	b.rows, b.files = kept, nil
	b.frames.first = seq + 1
}

// appendFiles commits data files and the log range they hold in one atomic
// change. The commit fails with table.ErrCommitFailed when the table has a
// newer snapshot than t, so that nothing is added on an unread state.
func appendFiles(ctx context.Context, t *table.Table, files []iceberg.DataFile, key string, frames logRange) error {
	txn := t.NewTransaction()
	if err := txn.AssertRefSnapshotID(table.MainBranch); err != nil {
		return err
	}
	note := iceberg.Properties{key: frames.String()}
	if err := txn.SetProperties(note); err != nil {
		return err
	}
	if err := txn.AddDataFiles(ctx, files, note, table.WithoutDuplicateCheck(), table.WithoutAutoNameMapping()); err != nil {
		return err
	}
	_, err := txn.Commit(ctx)
	return err
}

// writeFiles encodes rows as one file per tenant and day, a few at a time.
func (l *Lake) writeFiles(ctx context.Context, t *table.Table, one *layout, rows []row) ([]iceberg.DataFile, error) {
	wfs, loc, err := warehouse(ctx, t)
	if err != nil {
		return nil, err
	}
	parts := split(partitions(rows), l.cfg.Parallel)
	files := make([]iceberg.DataFile, len(parts))
	errs := make([]error, len(parts))
	next := make(chan int)
	var wg sync.WaitGroup
	builders := make([]*rowBuilder, min(max(l.cfg.Parallel, 1), len(parts)))
	for n := range builders {
		builders[n] = one.newBuilder(memory.DefaultAllocator)
		wg.Go(func() {
			b := builders[n]
			for i := range next {
				files[i], errs[i] = writePartition(ctx, t, wfs, loc, one, b, parts[i])
			}
		})
	}
	for i := range parts {
		next <- i
	}
	close(next)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err // all again; what was written is an orphan
	}
	for _, b := range builders {
		for i, n := range b.counts() {
			l.conflicts[i].Add(n)
		}
	}
	return files, nil
}

func writePartition(ctx context.Context, t *table.Table, wfs iceio.WriteFileIO, loc table.LocationProvider, one *layout, b *rowBuilder, p partition) (iceberg.DataFile, error) {
	return writeDataFile(ctx, t, wfs, loc, one, p.tenant, p.day, func(w io.Writer) (*metadata.FileMetaData, error) {
		return one.encodeWith(ctx, b, w, p.rows, compress.Codecs.Zstd)
	})
}

// writeRecord writes one sorted record batch of a tenant's day as a file.
func (l *Lake) writeRecord(ctx context.Context, t *table.Table, one *layout, tenant string, day int32, rec arrow.RecordBatch) (iceberg.DataFile, error) {
	wfs, loc, err := warehouse(ctx, t)
	if err != nil {
		return nil, err
	}
	return writeDataFile(ctx, t, wfs, loc, one, tenant, day, func(w io.Writer) (*metadata.FileMetaData, error) {
		return one.encodeRecord(w, rec)
	})
}

// warehouse is where a table's files go.
func warehouse(ctx context.Context, t *table.Table) (iceio.WriteFileIO, table.LocationProvider, error) {
	fsys, err := t.FS(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("open warehouse: %w", err)
	}
	wfs, ok := fsys.(iceio.WriteFileIO)
	if !ok {
		return nil, nil, fmt.Errorf("warehouse %s can't be written", t.Location())
	}
	loc, err := t.LocationProvider()
	if err != nil {
		return nil, nil, fmt.Errorf("locate %s: %w", t.Location(), err)
	}
	return wfs, loc, nil
}

// writeDataFile makes a data file of a partition with what encode writes.
func writeDataFile(ctx context.Context, t *table.Table, wfs iceio.WriteFileIO, loc table.LocationProvider, one *layout, tenant string, day int32,
	encode func(io.Writer) (*metadata.FileMetaData, error),
) (iceberg.DataFile, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	date := time.Unix(int64(day)*24*60*60, 0).UTC().Format(time.DateOnly)
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	era, err := eraOf(t)
	if err != nil {
		return nil, err
	}
	path := loc.NewDataLocation(fmt.Sprintf("%s/%s_day=%s/%s", tenantFolder(tenant), one.day, date, dataFileName(id, era)))
	w, err := wfs.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	out := &countingFile{WriteCloser: w}
	meta, err := encode(out)
	if err != nil {
		_ = w.Close()        // the encoder has, unless it never began
		_ = wfs.Remove(path) // nobody names it; what stays is an orphan
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	df, err := table.DataFileFromMetadata(table.DataFileArgs{
		Schema: t.Schema(), Spec: t.Spec(), Format: iceberg.ParquetFile, Metadata: meta,
		FilePath: path, FileSize: out.n, Content: iceberg.EntryContentData,
		PartitionValues: map[int]any{partitionTenantID: tenant, partitionDayID: iceberg.Date(day)},
		SortOrderID:     t.SortOrder().OrderID(), Properties: t.Properties(), FormatVersion: t.Metadata().Version(),
	})
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", path, err)
	}
	return df, nil
}
