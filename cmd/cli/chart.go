package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/guptarohit/asciigraph"

	"github.com/headlessly/headlessly/cmd/control"
)

// Charts of an answer.
const (
	chartBar  = "bar"
	chartLine = "line"
)

// fallbackWidth is how wide a chart is where there is no terminal.
const fallbackWidth = 80

// result is an answer in the format json.
type result struct {
	Columns []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"columns"`
	Rows      []map[string]any `json:"rows"`
	Truncated bool             `json:"truncated"` // there were more
}

// fetchRows asks a query of the running gateway.
func fetchRows(ctx context.Context, t *target, q control.Query) (result, error) {
	var out result
	q.Format = "json"
	res, err := t.call(ctx, http.MethodPost, "sql", q)
	if err != nil {
		return out, err
	}
	defer res.Close() //nolint:errcheck // read whole
	dec := json.NewDecoder(res)
	dec.UseNumber()
	return out, dec.Decode(&out)
}

// series takes an answer apart for a chart: the first column that is a number
// is the value, the first that is none the label.
func (r *result) series() (labels []string, values []float64, name string, err error) {
	value, label := -1, -1
	for i, c := range r.Columns {
		if numeric(c.Type) && value < 0 {
			value = i
		} else if label < 0 && !numeric(c.Type) {
			label = i
		}
	}
	if value < 0 {
		return nil, nil, "", errors.New("a chart needs a column of numbers, such as count(*)")
	}
	for n, row := range r.Rows {
		v, err := number(row[r.Columns[value].Name])
		if err != nil {
			return nil, nil, "", err
		}
		text := fmt.Sprint(n + 1)
		if label >= 0 {
			text = cell(row[r.Columns[label].Name])
		}
		labels, values = append(labels, text), append(values, v)
	}
	return labels, values, r.Columns[value].Name, nil
}

func numeric(typ string) bool {
	for _, p := range []string{"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "U"} {
		if strings.HasPrefix(typ, p) && typ != "UUID" && typ != "UNION" {
			return true
		}
	}
	return false
}

// number is a value of a column of numbers; large ones come as text.
func number(v any) (float64, error) {
	switch v := v.(type) {
	case nil:
		return math.NaN(), nil
	case json.Number:
		return v.Float64()
	case string:
		return json.Number(v).Float64()
	}
	return 0, fmt.Errorf("%v is no number", v)
}

// drawChart draws an answer.
func drawChart(w io.Writer, kind string, r result) error {
	labels, values, name, err := r.series()
	if err != nil {
		return err
	}
	if len(values) == 0 {
		_, err := fmt.Fprintln(w, "no rows")
		return err
	}
	width := terminal(w)
	if width == 0 {
		width = fallbackWidth
	}
	if kind == chartLine {
		options := []asciigraph.Option{asciigraph.Height(12), asciigraph.Caption(fmt.Sprintf("%s, %s … %s", name, labels[0], labels[len(labels)-1]))}
		if len(values) > width-12 {
			options = append(options, asciigraph.Width(width-12))
		}
		_, err := fmt.Fprintln(w, asciigraph.Plot(values, options...))
		return err
	}
	return drawBars(w, labels, values, width)
}

// eighths are the parts of a character cell, so that bars are exact.
var eighths = []rune(" ▏▎▍▌▋▊▉") //nolint:gochecknoglobals // a constant table

func drawBars(w io.Writer, labels []string, values []float64, width int) error {
	longest, most := 0, 0.0
	texts := make([]string, len(values))
	widest := 0
	for i, v := range values {
		longest = max(longest, utf8.RuneCountInString(labels[i]))
		if !math.IsNaN(v) {
			most = max(most, v)
		}
		texts[i] = "–"
		if !math.IsNaN(v) {
			texts[i] = strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
		}
		widest = max(widest, utf8.RuneCountInString(texts[i]))
	}
	longest = min(longest, width/3)
	room := max(8, width-longest-widest-3)
	for i, v := range values {
		bar := ""
		if most > 0 && v > 0 {
			cells := v / most * float64(room)
			bar = strings.Repeat("█", int(cells))
			if rest := int((cells - math.Floor(cells)) * 8); rest > 0 {
				bar += string(eighths[rest])
			}
		}
		if _, err := fmt.Fprintf(w, "%-*s %*s %s\n", longest, cut(labels[i], longest), widest, texts[i], bar); err != nil {
			return err
		}
	}
	return nil
}

// answer asks a query and shows it: as a chart where one is wanted.
func answer(ctx context.Context, t *target, q control.Query, chart string, stdio IO) error {
	if chart == "" {
		return runSQL(ctx, t, q, stdio)
	}
	r, err := fetchRows(ctx, t, q)
	if err != nil {
		return err
	}
	if r.Truncated {
		q.Format = "json"
		tellCut(q, stdio)
	}
	return drawChart(stdio.Out, chart, r)
}
