package lakehouse

import (
	"encoding/binary"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/iceberg-go"
)

// period is a time from one instant to another, both included, in µs.
type period struct{ from, to int64 }

func (p period) apart(o period) bool { return p.to < o.from || o.to < p.from }

// wanted is what a query may read of a table's files.
type wanted struct {
	all    bool
	fields map[int]bool   // ids of columns
	times  map[int]period // row groups that lie apart from one of them are not read
}

// apart says whether rows with these bounds are not wanted.
func (w wanted) apart(have map[int]period) bool {
	for field, p := range w.times {
		if h, ok := have[field]; ok && h.apart(p) {
			return true
		}
	}
	return false
}

// stated is what the table says of a file's rows in the columns of w.times.
func (w wanted) stated(f iceberg.DataFile) map[int]period {
	have := map[int]period{}
	for field := range w.times {
		low, high := f.LowerBoundValues()[field], f.UpperBoundValues()[field]
		if len(low) == 8 && len(high) == 8 {
			have[field] = period{int64(binary.LittleEndian.Uint64(low)), int64(binary.LittleEndian.Uint64(high))} //nolint:gosec // as Iceberg writes them
		}
	}
	return have
}

// statedPeriod is what a row group says of a column of instants.
func statedPeriod(c *metadata.ColumnChunkMetaData) (period, bool) {
	stats, err := c.Statistics()
	if err != nil || stats == nil || !stats.HasMinMax() {
		return period{}, false
	}
	whole, ok := stats.(*metadata.Int64Statistics)
	if !ok {
		return period{}, false
	}
	return period{whole.Min(), whole.Max()}, true
}

// Comparisons of a column with an instant in a query's text.
const (
	columnText  = `(?i)\b([a-z_]\w*)"?\s*`
	instantText = `(?:(?:timestamptz|timestamp|date)\s*)?'([^']*)'`
	nowText     = `(?:(?:now|get_current_timestamp)\s*\(\s*\)|current_timestamp)(?:\s*-\s*interval\s*\(?'?\s*(\d+)\s*(\w+)'?\s*\)?)?`
)

var (
	comparesText = regexp.MustCompile(columnText + `(>=|<=|=|>|<)\s*(?:` + instantText + `|(\?|\$\d+)|(` + nowText + `))`)                    //nolint:gochecknoglobals // a constant
	betweenText  = regexp.MustCompile(columnText + `between\s+(?:` + instantText + `|(\?|\$\d+))\s+and\s+(?:` + instantText + `|(\?|\$\d+))`) //nolint:gochecknoglobals // a constant
)

// unitLength is the most that a unit of an interval is long, 0 for one that is
// not known.
func unitLength(unit string) time.Duration {
	return map[string]time.Duration{
		"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour,
		"week": 7 * 24 * time.Hour, "month": 31 * 24 * time.Hour, "year": 366 * 24 * time.Hour,
	}[strings.TrimSuffix(strings.ToLower(unit), "s")]
}

// periodsOf guesses from a query's text which times of which columns it reads:
// all that its comparisons of that column name, and what lies between. A guess
// that is wrong costs a second reading: a row group that was left out after all
// can't be mistaken for data.
func periodsOf(sql string, args []any, now time.Time) map[string]period {
	g := guess{args: args, now: now, low: map[string]int64{}, high: map[string]int64{}, not: map[string]bool{}}
	for _, at := range comparesText.FindAllStringSubmatchIndex(sql, -1) {
		m := matched{sql, at}
		op := m.group(2)
		us, ok := g.instant(m, 3)
		if m.group(5) != "" {
			us, ok = g.past(op, m.group(6), m.group(7))
		}
		g.note(m.group(1), op, us, ok)
	}
	for _, at := range betweenText.FindAllStringSubmatchIndex(sql, -1) {
		m := matched{sql, at}
		us, ok := g.instant(m, 2)
		g.note(m.group(1), ">=", us, ok)
		us, ok = g.instant(m, 4)
		g.note(m.group(1), "<=", us, ok)
	}
	out := map[string]period{}
	for column := range g.names() {
		p := period{math.MinInt64, math.MaxInt64}
		if at, ok := g.low[column]; ok {
			p.from = at
		}
		if at, ok := g.high[column]; ok {
			p.to = at
		}
		if !g.not[column] && p.from <= p.to {
			out[column] = p
		}
	}
	return out
}

type guess struct {
	args      []any
	now       time.Time
	low, high map[string]int64
	not       map[string]bool // columns of which nothing can be said
}

func (g *guess) names() map[string]bool {
	all := map[string]bool{}
	for column := range g.low {
		all[column] = true
	}
	for column := range g.high {
		all[column] = true
	}
	return all
}

// note widens what is known of a column by one comparison.
func (g *guess) note(column, op string, at int64, ok bool) {
	column = strings.ToLower(column)
	if !ok {
		g.not[column] = true
		return
	}
	if op != "<" && op != "<=" {
		if old, seen := g.low[column]; !seen || at < old {
			g.low[column] = at
		}
	}
	if op != ">" && op != ">=" {
		if old, seen := g.high[column]; !seen || at > old {
			g.high[column] = at
		}
	}
}

// matched is what a pattern found in a text.
type matched struct {
	text string
	at   []int
}

func (m matched) group(i int) string {
	if m.at[2*i] < 0 {
		return ""
	}
	return m.text[m.at[2*i]:m.at[2*i+1]]
}

// instant reads an instant, which is in a group, or the parameter that is in
// the next.
func (g *guess) instant(m matched, i int) (int64, bool) {
	text := m.group(i)
	if place := m.group(i + 1); place != "" {
		n, err := strconv.Atoi(place[1:])
		if err != nil { // the places before it tell which it is
			n = strings.Count(m.text[:m.at[2*i+2]], "?") + 1
		}
		if n < 1 || n > len(g.args) {
			return 0, false
		}
		text, _ = g.args[n-1].(string)
	}
	for _, form := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05Z07:00", time.RFC3339} {
		if t, err := time.Parse(form, strings.TrimSpace(text)); err == nil {
			return t.UnixMicro(), true
		}
	}
	return 0, false
}

// clockSlack is how much later the engine may look at its clock.
const clockSlack = time.Hour

// past is the time before now that a comparison names, or later if it is an
// upper bound.
func (g *guess) past(op, count, unit string) (int64, bool) {
	if op == "<" || op == "<=" {
		return g.now.Add(clockSlack).UnixMicro(), true
	}
	if op == "=" {
		return 0, false
	}
	at := g.now
	if unit != "" {
		n, err := strconv.Atoi(count)
		length := unitLength(unit)
		if err != nil || length == 0 || n >= 10_000 {
			return 0, false
		}
		at = at.Add(-time.Duration(n) * length)
	}
	return at.UnixMicro(), true
}
