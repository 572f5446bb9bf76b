package dedupe

import (
	"fmt"
	"io"
	"sync/atomic"
)

// counters count what happened since the start.
type counters struct {
	duplicates, doubts, readErrors, writeErrors atomic.Int64
}

// WriteMetrics writes the index's metrics in Prometheus' text format.
func (x *Index) WriteMetrics(w io.Writer) {
	v := x.view.Load()
	var disk, memory, unfiltered int64
	for _, r := range v.runs {
		disk += r.count
		memory += int64(len(r.filter))
		if r.filter == nil {
			unfiltered++
		}
	}
	for _, m := range []struct {
		name  string
		value int64
	}{
		{"headlessly_dedupe_duplicates_total", x.stats.duplicates.Load()},
		{"headlessly_dedupe_doubtful_ids_total", x.stats.doubts.Load()},
		{"headlessly_dedupe_read_errors_total", x.stats.readErrors.Load()},
		{"headlessly_dedupe_write_errors_total", x.stats.writeErrors.Load()},
		{"headlessly_dedupe_memory_ids", x.fresh.Load()},
		{"headlessly_dedupe_disk_ids", disk},
		{"headlessly_dedupe_runs", int64(len(v.runs))},
		{"headlessly_dedupe_runs_without_filter", unfiltered},
		{"headlessly_dedupe_filter_bytes", memory},
	} {
		_, _ = fmt.Fprintf(w, "%s %d\n", m.name, m.value)
	}
}
