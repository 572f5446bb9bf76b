package gateway

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// writeMetrics writes the metrics of the log and its readers in Prometheus'
// text format. No tenant appears in a label.
func (g *Gateway) writeMetrics(w io.Writer) {
	s := g.log.Stats()
	p := func(name string, v any) { _, _ = fmt.Fprintf(w, "headlessly_%s %v\n", name, v) }
	p("log_frames_total", s.Frames)
	p("log_records_total", s.Records)
	p("log_bytes_total", s.Bytes)
	p("log_refused_total", s.Refused)
	p("log_waiting_bytes", s.Waiting)
	p("log_last_sequence", s.Last)
	p("log_stored_bytes", s.StoredBytes)
	p("log_disk_free_bytes", s.FreeBytes)
	p("log_gaps_total", s.Gaps)
	p("log_corrupt_frames_total", s.Corrupt)
	total := uint64(0)
	for i, n := range s.Sync.Counts {
		total += n
		bound := "+Inf"
		if i < len(s.Sync.Bounds) {
			bound = strconv.FormatFloat(s.Sync.Bounds[i], 'g', -1, 64)
		}
		p(fmt.Sprintf("log_sync_seconds_bucket{le=%q}", bound), total)
	}
	p("log_sync_seconds_sum", s.Sync.Sum)
	p("log_sync_seconds_count", total)
	readers := make([]string, 0, len(s.Committed))
	for r := range s.Committed {
		readers = append(readers, r)
	}
	slices.Sort(readers)
	for _, r := range readers {
		p(fmt.Sprintf("reader_committed_sequence{reader=%q}", r), s.Committed[r])
	}
	g.deliveryMetrics(p)
	g.lakeMetrics(p)
}
