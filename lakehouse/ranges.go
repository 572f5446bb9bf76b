package lakehouse

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go/table"
)

// logKey is the key in a snapshot's summary, and the property of the table,
// that tell which frames of a log are in the table. source is "" for the log of
// events.
func logKey(source, shard string) string {
	if source != "" {
		source += "."
	}
	return "headlessly.log." + source + shard
}

// logRange is a range of log frames, both ends included.
type logRange struct{ first, last uint64 }

func (r logRange) String() string { return fmt.Sprintf("%d-%d", r.first, r.last) }

func parseLogRange(s string) (logRange, error) {
	a, b, ok := strings.Cut(s, "-")
	first, err1 := strconv.ParseUint(a, 10, 64)
	last, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err1 != nil || err2 != nil || last < first {
		return logRange{}, fmt.Errorf("log range %q is not <first>-<last>", s)
	}
	return logRange{first, last}, nil
}

// committedThrough is the last log frame whose rows are in the table, 0 for
// none. The table property and the newest snapshot that carries a range are
// written by the same atomic change; both are read, since another program may
// drop either.
func committedThrough(t *table.Table, key string) (uint64, error) {
	var through uint64
	if s := t.Properties()[key]; s != "" {
		r, err := parseLogRange(s)
		if err != nil {
			return 0, fmt.Errorf("property %s: %w", key, err)
		}
		through = r.last
	}
	for s := t.CurrentSnapshot(); s != nil; {
		if s.Summary != nil && s.Summary.Properties[key] != "" {
			r, err := parseLogRange(s.Summary.Properties[key])
			if err != nil {
				return 0, fmt.Errorf("snapshot %d: %w", s.SnapshotID, err)
			}
			return max(through, r.last), nil
		}
		if s.ParentSnapshotID == nil {
			break
		}
		s = t.SnapshotByID(*s.ParentSnapshotID)
	}
	return through, nil
}
