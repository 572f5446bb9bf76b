package sqlworker

import (
	"fmt"
	"strings"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func quoteList(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = quoteText(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// preamble is the statements that run before the user's: the request's limits,
// the tables, the views that its text names, then the lock-down. later are the
// other views, each of which takes 3 ms to bind: they are made where a query does
// not bind without.
func preamble(req wire.Request) (now, later []string) {
	now = []string{
		fmt.Sprintf("SET threads = %d", max(req.Limits.Threads, 1)+1), // one of them, ours, only watches
		fmt.Sprintf("SET memory_limit = '%dB'", req.Limits.MemoryBytes),
		"SET temp_directory = " + quoteText(req.Temp),
		fmt.Sprintf("SET max_temp_directory_size = '%dB'", req.Limits.TempBytes),
		"SET TimeZone = 'UTC'", "SET enable_progress_bar = true", "SET enable_progress_bar_print = false", "SET progress_bar_time = 1",
		"ATTACH ':memory:' AS " + wire.Catalog, "USE " + wire.Catalog,
	}
	allowed := []string{req.Result}
	for _, t := range req.Tables {
		now = append(now, "CREATE VIEW "+quoteName(t.Name)+" AS "+tableQuery(t))
		allowed = append(allowed, t.Files...)
	}
	text := strings.ToLower(req.SQL)
	whole := wire.Lists(text)
	for _, v := range req.Views {
		view := "CREATE VIEW " + quoteName(v.Name) + " AS " + v.SQL
		if whole || strings.Contains(text, v.Name) {
			now = append(now, view)
		} else {
			later = append(later, view)
		}
	}
	return append(now,
		"SET allowed_paths = "+quoteList(allowed),
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	), later
}

// tableQuery reads a table's files by field id.
func tableQuery(t wire.Table) string {
	names, nulls, schema := make([]string, len(t.Columns)), make([]string, len(t.Columns)), make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = quoteName(c.Name)
		nulls[i] = fmt.Sprintf("CAST(NULL AS %s) AS %s", c.Type, quoteName(c.Name))
		schema[i] = fmt.Sprintf("%d: {name: %s, type: %s, default_value: NULL}", c.ID, quoteText(c.Name), quoteText(c.Type))
	}
	if t.Gone != "" { // columns that nobody knows beforehand: with constants a filter would find it empty unread
		for i, c := range t.Columns {
			nulls[i] = fmt.Sprintf("TRY_CAST(CAST(random() AS VARCHAR) AS %s) AS %s", c.Type, quoteName(c.Name))
		}
		return "SELECT " + strings.Join(nulls, ", ") + " WHERE error(" + quoteText(t.Gone) + ") IS NULL"
	}
	if len(t.Files) == 0 {
		return "SELECT " + strings.Join(nulls, ", ") + " WHERE false"
	}
	return fmt.Sprintf("SELECT %s FROM read_parquet(%s, schema = MAP {%s}, hive_partitioning = false)",
		strings.Join(names, ", "), quoteList(t.Files), strings.Join(schema, ", "))
}

// trimEnd cuts the semicolon that ends a statement, and what comments follow,
// so that the statement can stand in brackets. It only needs to be right for
// text that DuckDB has parsed as one statement; what it gets wrong does not
// parse in brackets.
func trimEnd(sql string) string {
	for i := 0; i < len(sql); {
		switch rest := sql[i:]; {
		case rest[0] == ';':
			return sql[:i]
		case strings.HasPrefix(rest, "e'") || strings.HasPrefix(rest, "E'"):
			i += 1 + escaped(rest[1:])
		case rest[0] == '\'' || rest[0] == '"':
			i += quoted(rest, rest[:1])
		case strings.HasPrefix(rest, "--"):
			i += until(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			i += comment(rest)
		case rest[0] == '$':
			if tag := dollarTag(rest); tag != "" {
				i += quoted(rest, tag)
			} else {
				i++
			}
		default:
			i++
		}
	}
	return sql
}

// quoted is the length of a text that begins and ends with mark.
func quoted(s, mark string) int { return len(mark) + until(s[len(mark):], mark) }

// escaped is the length of a quoted text in which a backslash hides the next
// character.
func escaped(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\'':
			return i + 1
		}
	}
	return len(s)
}

func until(s, mark string) int {
	if n := strings.Index(s, mark); n >= 0 {
		return n + len(mark)
	}
	return len(s)
}

// comment is the length of a bracketed comment; they nest.
func comment(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// dollarTag is the opening mark of a dollar-quoted text, "" if s has none.
func dollarTag(s string) string {
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '$':
			return s[:i+1]
		case c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c < 0x80 && (i == 1 || c < '0' || c > '9'):
			return ""
		}
	}
	return ""
}
