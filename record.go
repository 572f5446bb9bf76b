package headlessly

import "strings"

// RecordKind says what a log record holds.
type RecordKind byte

// Record kinds. The numbers are part of the log's format and never reused.
const (
	RecordEvent          RecordKind = 1 // an [Event]
	RecordRejected       RecordKind = 2 // a [Rejected]
	RecordReceipt        RecordKind = 3 // a [Receipt]
	RecordDelivery       RecordKind = 4 // a [Delivery]
	RecordEntityEvent    RecordKind = 5 // an [EntityEvent]
	RecordMetricSnapshot RecordKind = 6 // a [MetricSnapshot]
)

// Record is one entry of a log frame. Data is the binary form of what Kind
// names; it belongs to the frame and must not be changed.
type Record struct {
	Kind RecordKind
	Data []byte
}

// MaxFrameRecords is how many records one frame holds at most, so that a frame
// sequence and an index fit in one signed 64-bit [LogSeq].
const MaxFrameRecords = 1 << 16

// LogSeq is the place of record index in frame seq: seq·2¹⁶ + index. It grows
// along the log and is what the events table calls log_seq.
func LogSeq(seq uint64, index int) int64 { return int64(seq<<16 | uint64(index)) } //nolint:gosec // a frame sequence stays below 2⁴⁷: 4 million a second for a year

// SplitLogSeq undoes [LogSeq].
func SplitLogSeq(ls int64) (seq uint64, index int) {
	return uint64(ls) >> 16, int(ls & (MaxFrameRecords - 1)) //nolint:gosec // LogSeq made it from an unsigned number
}

// Rejected is input that could not be taken: the raw bytes as they came and
// the reason, kept so that a person can read and replay them.
type Rejected struct {
	Tenant      string
	ReceivedAt  int64  // µs since the Unix epoch
	Reason      string // machine-readable code, the one the client was told
	Field       string // the field at fault, "" where none is
	Message     string // what the client was told
	Path        string // request path
	ContentType string
	IP          string // truncated
	Raw         []byte // at most [MaxRejectedBytes]
	Truncated   bool   // Raw was cut
	LogSeq      int64  // set by a reader, not part of the binary form
}

// Receipt is what a provider sent to an integration's inbound address, as it
// came: it was verified, and nothing has been read from it yet.
type Receipt struct {
	Tenant      string
	Provider    string // "stripe", "github", …
	Integration string // the integration's id
	ReceivedAt  int64  // µs since the Unix epoch
	// Headers are the request's, as "name: value" lines with lower-case names,
	// without credentials and cookies.
	Headers string
	Query   string // the address's, without the question mark
	Body    []byte
	LogSeq  int64 // set by a reader, not part of the binary form
}

// Header gives the first value of a header, "" where there is none.
func (r *Receipt) Header(name string) string {
	for line := range strings.Lines(r.Headers) {
		k, v, _ := strings.Cut(line, ":")
		if strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
