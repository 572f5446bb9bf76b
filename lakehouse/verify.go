package lakehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// VerifyReport is what [Lake.Verify] found.
type VerifyReport struct {
	Files  int
	Rows   int64
	Faults []string // each in words, with the file it is about
}

// Verify reads every value of every row of every table, which fails where the
// checksum of a block of values does, and checks it against what the metadata
// says: files are there and as long as noted, hold as many rows, each of the
// tenant and day of its folder, and no id of a tenant twice. A Parquet file's
// footer has no checksum: of that only what reading needs is found out.
// The ids of one table are held in memory. progress, if not nil, is
// called with the files done and known so far.
func (l *Lake) Verify(ctx context.Context, progress func(done, known int)) (VerifyReport, error) {
	var report VerifyReport
	for _, one := range l.layouts {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return report, err
		}
		files, err := dataFiles(ctx, t)
		if err != nil {
			return report, err
		}
		v := verifier{layout: one, table: t, report: &report, ids: map[string]map[uuid.UUID]string{}}
		for i, f := range files {
			if progress != nil {
				progress(i, len(files))
			}
			if err := v.file(ctx, f); err != nil {
				if ctx.Err() != nil {
					return report, context.Cause(ctx)
				}
				v.fault(f, err.Error())
			}
		}
	}
	return report, nil
}

type verifier struct {
	layout *layout
	table  *table.Table
	report *VerifyReport
	ids    map[string]map[uuid.UUID]string // by tenant: id and the file it is in
}

func (v *verifier) fault(f iceberg.DataFile, what string) {
	v.report.Faults = append(v.report.Faults, fmt.Sprintf("%s: %s", f.FilePath(), what))
}

func (v *verifier) file(ctx context.Context, f iceberg.DataFile) error {
	v.report.Files++
	size, err := v.whole(ctx, f)
	if err != nil {
		return err
	}
	fields := []string{"tenant", v.layout.day}
	if v.layout.id != "" {
		fields = append(fields, v.layout.id)
	}
	task := table.FileScanTask{File: f, Length: size}
	_, records, err := v.table.Scan(table.WithSelectedFields(fields...), table.WithMaxConcurrency(1)).ReadTasks(ctx, []table.FileScanTask{task})
	if err != nil {
		return err
	}
	rows := int64(0)
	for rec, err := range records {
		if err != nil {
			return err
		}
		rows += rec.NumRows()
		tenants, ok1 := rec.Column(rec.Schema().FieldIndices("tenant")[0]).(array.StringLike)
		received, ok2 := rec.Column(rec.Schema().FieldIndices(v.layout.day)[0]).(*array.Timestamp)
		if !ok1 || !ok2 {
			return errors.New("columns have other types than the table's")
		}
		want, _ := f.Partition()[partitionTenantID].(string)
		for i := range int(rec.NumRows()) {
			if tenants.Value(i) != want || day(int64(received.Value(i))) != dayOf(f) {
				return fmt.Errorf("row %d is of tenant %q and day %d", i, tenants.Value(i), day(int64(received.Value(i))))
			}
		}
		if len(fields) == 3 {
			v.unique(f, want, rec.Column(rec.Schema().FieldIndices(v.layout.id)[0]).(*extensions.UUIDArray))
		}
		rec.Release()
	}
	v.report.Rows += rows
	if rows != f.Count() {
		return fmt.Errorf("has %d rows, the table says %d", rows, f.Count())
	}
	return nil
}

func (v *verifier) unique(f iceberg.DataFile, tenant string, ids *extensions.UUIDArray) {
	known := v.ids[tenant]
	if known == nil {
		known = map[uuid.UUID]string{}
		v.ids[tenant] = known
	}
	for i := range ids.Len() {
		id := ids.Value(i)
		if other, ok := known[id]; ok {
			v.fault(f, fmt.Sprintf("%s %s is also in %s", v.layout.id, id, other))
			continue
		}
		known[id] = f.FilePath()
	}
}

// whole reads a file from its first byte to its last, and says how many it has.
func (v *verifier) whole(ctx context.Context, f iceberg.DataFile) (size int64, err error) {
	fsys, err := v.table.FS(ctx)
	if err != nil {
		return 0, err
	}
	in, err := fsys.Open(f.FilePath())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	info, err := in.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() != f.FileSizeBytes() {
		return 0, fmt.Errorf("has %d bytes, the table says %d", info.Size(), f.FileSizeBytes())
	}
	return info.Size(), decode(ctx, in, nil)
}
