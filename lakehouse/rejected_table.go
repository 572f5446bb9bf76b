package lakehouse

import "github.com/headlessly/headlessly"

// rejectedColumns is the rejected table; the rules of [eventColumns] hold.
func rejectedColumns() []column[headlessly.Rejected] {
	type row = headlessly.Rejected
	return []column[row]{
		name(1, "tenant", func(r *row) string { return r.Tenant }).bounded(),
		instant(2, "received_at", func(r *row) int64 { return r.ReceivedAt }).must().distinct().bounded(),
		text(3, "reason", func(r *row) string { return r.Reason }).bounded(),
		text(4, "field", func(r *row) string { return r.Field }),
		text(5, "message", func(r *row) string { return r.Message }),
		text(6, "path", func(r *row) string { return r.Path }),
		text(7, "content_type", func(r *row) string { return r.ContentType }),
		text(8, "ip", func(r *row) string { return r.IP }),
		bytesOf(9, "raw", func(r *row) []byte { return r.Raw }).distinct(),
		flag(10, "truncated", func(r *row) bool { return r.Truncated }),
		long(11, "log_seq", func(r *row) (int64, bool) { return r.LogSeq, true }).must().distinct().bounded(),
	}
}
