package lakehouse

import (
	"regexp"
	"strings"

	"github.com/apache/iceberg-go"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// Parts of a query's text. It is not parsed here: what this misses is read
// after all, when the worker has told that it lacks something.
var (
	wordText  = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)                                 //nolint:gochecknoglobals // a constant
	countStar = regexp.MustCompile(`(?i)count\s*\(\s*\*\s*\)`)                               //nolint:gochecknoglobals // a constant
	starText  = regexp.MustCompile(`(?i)(?:[,(.]|\b(?:select|distinct|all|exclude)\b)\s*\*`) //nolint:gochecknoglobals // a constant
)

// reads is what a query's text may read of the tables.
type reads struct {
	words map[string]bool
	star  bool // every column of the tables that it names
	whole bool // every column of every table
	times map[string]period

	tables map[string]bool // whose names are in it, or those of views that read them; nil for any
}

func readsOf(sql string) reads {
	r := reads{words: map[string]bool{}, star: starText.MatchString(countStar.ReplaceAllString(sql, ""))}
	for _, w := range wordText.FindAllString(sql, -1) {
		r.words[strings.ToLower(w)] = true
	}
	for _, w := range []string{"columns", "summarize", "natural", "pivot", "unpivot", "table"} {
		r.star = r.star || r.words[w]
	}
	r.star = r.star || !r.words["select"] // FROM events
	r.tables = tablesOf(sql)
	return r
}

// tablesOf lists the tables that a query's text may mean, nil for any.
func tablesOf(sql string) map[string]bool {
	if wire.Lists(sql) {
		return nil
	}
	found := map[string]bool{}
	in := func(text string) {
		for _, name := range Tables() {
			if strings.Contains(strings.ToLower(text), name) {
				found[name] = true
			}
		}
	}
	in(sql)
	for _, v := range views() {
		if strings.Contains(strings.ToLower(sql), v.Name) {
			in(v.SQL)
		}
	}
	return found
}

// meant says whether a table may be read.
func (r reads) meant(table string) bool { return r.tables == nil || r.tables[table] }

// everything reads all columns of all tables.
func everything() reads { return reads{whole: true} }

// of is what is wanted of a table.
func (r reads) of(name string, schema *iceberg.Schema) wanted {
	if r.whole {
		return wanted{all: true}
	}
	fields := map[string]bool{}
	named := r.words[name]
	take := func(words map[string]bool) {
		for w := range words {
			fields[w] = true
		}
	}
	for _, v := range views() {
		if !r.words[v.Name] {
			continue
		}
		own := readsOf(v.SQL)
		if !own.words[name] {
			continue
		}
		columns, after, _ := strings.Cut(v.SQL, "FROM")
		switch {
		case r.star || strings.Contains(columns, "("): // made of others
			take(own.words)
		default:
			take(readsOf(after).words)
			take(r.words)
		}
	}
	if named {
		take(r.words)
	}
	w := wanted{all: named && r.star, fields: map[int]bool{}, times: map[int]period{}}
	for _, f := range schema.Fields() {
		name := strings.ToLower(f.Name)
		if fields[name] {
			w.fields[f.ID] = true
		}
		if at, ok := r.times[name]; ok && (f.Type.Equals(iceberg.PrimitiveTypes.TimestampTz) || f.Type.Equals(iceberg.PrimitiveTypes.Timestamp)) {
			w.times[f.ID] = at
		}
	}
	return w
}
