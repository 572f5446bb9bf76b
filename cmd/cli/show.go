package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/headlessly/headlessly/connectors/graph"
)

// Formats of an entity's answer.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

// format is the one that was asked for: else a table on a terminal, JSON for a
// program.
func (in *input) format(w io.Writer) (string, error) {
	asked := 0
	format := formatJSON
	if terminal(w) > 0 {
		format = formatTable
	}
	for name, on := range map[string]bool{formatJSON: in.json, formatYAML: in.yaml, formatTable: in.table} {
		if on {
			asked++
			format = name
		}
	}
	if asked > 1 {
		return "", errors.New("choose one of --table, --json, --yaml")
	}
	return format, nil
}

func showJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func showYAML(w io.Writer, v any) error {
	var whole yaml.Node
	if err := whole.Encode(plain(v)); err != nil {
		return err
	}
	quote(&whole)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&whole); err != nil {
		return err
	}
	return enc.Close()
}

// quote gives every text that needs quotes the same ones, which are those of
// the npm package's command line, too.
func quote(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Style&yaml.SingleQuotedStyle != 0 {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, child := range n.Content {
		quote(child)
	}
}

// plain turns JSON's numbers into numbers that YAML knows.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = plain(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case []map[string]any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	}
	return v
}

// fieldOrder is the order in which fields are shown: the id, the declared ones,
// others by name, the remaining meta fields last.
func fieldOrder(t *graph.Type, present map[string]bool) []string {
	out := []string{}
	take := func(name string) {
		if present[name] && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	take("$id")
	if t != nil {
		for i := range t.Fields {
			take(t.Fields[i].Name)
		}
	}
	var rest []string
	for name := range present {
		if !strings.HasPrefix(name, "$") {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	for _, name := range append(rest, "$version", "$createdAt", "$updatedAt", "$createdBy", "deleted") {
		take(name)
	}
	return out
}

// showEntity writes one entity, a field a line.
func showEntity(w io.Writer, t *graph.Type, e map[string]any) error {
	present := map[string]bool{}
	for name := range e {
		present[name] = true
	}
	rows := [][]string{}
	for _, name := range fieldOrder(t, present) {
		rows = append(rows, []string{name, cell(e[name])})
	}
	return writeTable(w, nil, rows, terminal(w))
}

// mostColumns is how many columns a table of entities has unless --fields
// names them: more do not fit a screen.
const mostColumns = 7

// showEntities writes entities, one a line: the columns that were named, else
// the first that any of them has.
func showEntities(w io.Writer, t *graph.Type, list []map[string]any, columns []string) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "none found")
		return err
	}
	if columns == nil {
		present := map[string]bool{}
		for _, e := range list {
			for name, v := range e {
				if _, nested := v.(map[string]any); !nested && name != "$context" {
					present[name] = true
				}
			}
		}
		columns = fieldOrder(t, present)
		columns = columns[:min(mostColumns, len(columns))]
	}
	rows := make([][]string, len(list))
	for i, e := range list {
		for _, name := range columns {
			rows[i] = append(rows[i], brief(e[name]))
		}
	}
	return writeTable(w, columns, rows, terminal(w))
}

// showHistory writes an entity's events, oldest first.
func showHistory(w io.Writer, events []map[string]any) error {
	rows := make([][]string, len(events))
	for i, e := range events {
		changed := []string{}
		if data, ok := e["data"].(map[string]any); ok && cell(e["version"]) != "1" {
			for name := range data {
				changed = append(changed, name)
			}
			slices.Sort(changed)
		}
		rows[i] = []string{cell(e["version"]), brief(e["timestamp"]), cell(e["type"]), cell(e["actor"]), strings.Join(changed, ", ")}
	}
	return writeTable(w, []string{"version", "timestamp", "event", "actor", "changed"}, rows, terminal(w))
}

// cell writes a value on one line.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return strings.Join(strings.Fields(v), " ")
	case json.Number, bool:
		return fmt.Sprint(v)
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = cell(item)
		}
		return strings.Join(parts, ", ")
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

// fraction is what a list leaves out of a time: one entity by itself shows it.
var fraction = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z$`)

// brief is a value as a list shows it.
func brief(v any) string { return fraction.ReplaceAllString(cell(v), "${1}Z") }

// writeTable aligns rows; width is the screen's, 0 where there is none.
func writeTable(w io.Writer, head []string, rows [][]string, width int) error {
	all := rows
	if head != nil {
		all = append([][]string{head}, rows...)
	}
	var widths []int
	for _, row := range all {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	if width > 0 {
		fit(widths, width)
	}
	var b strings.Builder
	for n, row := range all {
		for i, c := range row {
			c = cut(c, widths[i])
			if head != nil && n == 0 {
				c = bold(w, c)
			}
			b.WriteString(c)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cut(row[i], widths[i]))+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// narrowest is how far a column is cut to make a line fit.
const narrowest = 8

// fit narrows the widest columns until a line fits.
func fit(widths []int, width int) {
	total := 2 * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	for ; total > width; total-- {
		most := 0
		for i, n := range widths {
			if n > widths[most] {
				most = i
			}
		}
		if len(widths) == 0 || widths[most] <= narrowest {
			return
		}
		widths[most]--
	}
}

func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(0, n-1)]) + "…"
}

// bold marks a heading on a terminal that has not asked for none (NO_COLOR,
// https://no-color.org).
func bold(w io.Writer, s string) string { return paint(w, "1", s) }

func paint(w io.Writer, code, s string) string {
	if terminal(w) == 0 || os.Getenv("NO_COLOR") != "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
