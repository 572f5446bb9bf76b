package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/peterh/liner"

	"github.com/headlessly/headlessly/cmd/control"
)

// sqlPrompt is an interactive session of queries.
type sqlPrompt struct {
	t     *target
	q     control.Query // what every query of the session has
	chart string
	stdio IO
	names []string // for completion
	typed strings.Builder
}

const promptHelp = `  select …;       ask; a query ends with a semicolon and may have several lines
  \d              tables and views
  \d NAME         the columns of one
  \chart bar|line draw the answers; \chart off
  \format NAME    table, csv, json, ndjson
  \asof TIME      read the tables as they were then; \asof alone for now
  \q              end (also Ctrl-D); Ctrl-C drops what is typed
`

// runPrompt reads queries from a terminal until its end.
func runPrompt(ctx context.Context, t *target, q control.Query, chart string, stdio IO) error {
	p := &sqlPrompt{t: t, q: q, chart: chart, stdio: stdio}
	line := liner.NewLiner()
	defer line.Close() //nolint:errcheck // puts the terminal back
	line.SetCtrlCAborts(true)
	line.SetMultiLineMode(true)
	p.learn(ctx)
	line.SetWordCompleter(p.complete)
	history, err := historyFile()
	if err == nil {
		if f, err := os.Open(history); err == nil {
			_, _ = line.ReadHistory(f) // a history that can't be read is none
			_ = f.Close()
		}
		defer keepHistory(line, history)
	}
	_, _ = fmt.Fprintf(stdio.Out, "SQL over the data of %s. \\? for help, \\q to end.\n", p.who())
	for ctx.Err() == nil {
		sign := "sql> "
		if p.typed.Len() > 0 {
			sign = "  -> "
		}
		text, err := line.Prompt(sign)
		switch {
		case errors.Is(err, liner.ErrPromptAborted):
			p.typed.Reset()
			continue
		case errors.Is(err, io.EOF):
			_, _ = fmt.Fprintln(stdio.Out)
			return nil
		case err != nil:
			return err
		}
		whole, end := p.take(ctx, text)
		if whole != "" {
			line.AppendHistory(whole)
		}
		if end {
			return nil
		}
	}
	return nil
}

func (p *sqlPrompt) who() string {
	if p.t.tenant == "" {
		return "every tenant"
	}
	return p.t.tenant
}

// take carries out a line, or keeps it until its query has ended. whole is what
// belongs into the history.
func (p *sqlPrompt) take(ctx context.Context, text string) (whole string, end bool) {
	if p.typed.Len() == 0 && strings.HasPrefix(strings.TrimSpace(text), `\`) {
		return text, p.command(ctx, strings.Fields(text))
	}
	if p.typed.Len() == 0 && strings.TrimSpace(text) == "" {
		return "", false
	}
	if p.typed.Len() > 0 {
		p.typed.WriteByte('\n')
	}
	p.typed.WriteString(text)
	if !strings.HasSuffix(strings.TrimSpace(text), ";") {
		return "", false
	}
	whole = p.typed.String()
	p.typed.Reset()
	p.ask(ctx, whole)
	return strings.ReplaceAll(whole, "\n", " "), false
}

func (p *sqlPrompt) ask(ctx context.Context, sql string) {
	q := p.q
	q.SQL = sql
	if err := answer(ctx, p.t, q, p.chart, p.stdio); err != nil {
		_, _ = fmt.Fprintln(p.stdio.Err, err)
	}
}

// command carries out a backslash command and says whether the session ends.
func (p *sqlPrompt) command(ctx context.Context, words []string) (end bool) {
	argument := ""
	if len(words) > 1 {
		argument = words[1]
	}
	switch words[0] {
	case `\q`:
		return true
	case `\d`:
		p.describe(ctx, argument)
	case `\chart`:
		if argument != chartBar && argument != chartLine && argument != "off" {
			_, _ = fmt.Fprintln(p.stdio.Err, `\chart bar, \chart line or \chart off`)
			return false
		}
		p.chart = strings.TrimSuffix(argument, "off")
	case `\format`:
		if !control.KnownFormat(argument) || argument == "parquet" || argument == "arrow" {
			_, _ = fmt.Fprintln(p.stdio.Err, "known are table, csv, json, ndjson")
			return false
		}
		p.q.Format = argument
	case `\asof`:
		q := control.Query{AsOf: argument}
		if _, err := q.Moment(); err != nil {
			_, _ = fmt.Fprintln(p.stdio.Err, err)
			return false
		}
		p.q.AsOf = argument
	default:
		_, _ = fmt.Fprint(p.stdio.Out, promptHelp)
	}
	return false
}

func (p *sqlPrompt) describe(ctx context.Context, name string) {
	sql := `select table_name as name, lower(replace(table_type, 'BASE ', '')) as kind, count(*) as columns
		from information_schema.tables join information_schema.columns using (table_schema, table_name) where table_schema = 'main' group by all order by 1`
	parameters := []any(nil)
	if name != "" {
		sql, parameters = `select column_name as column, data_type as type from information_schema.columns where table_schema = 'main' and table_name = lower(?) order by ordinal_position`, []any{name}
	}
	q := p.q
	q.SQL, q.Parameters, q.Format = sql, parameters, "table"
	if err := answer(ctx, p.t, q, "", p.stdio); err != nil {
		_, _ = fmt.Fprintln(p.stdio.Err, err)
	}
}

var sqlWords = strings.Fields(`select from where group by order limit having join left using on as and or not in is null like between case when then else end
	count sum avg min max distinct date_trunc interval now with union all desc asc over partition rows quantile_cont`) //nolint:gochecknoglobals // a constant table

// learn asks for the names of tables and columns; without them completion
// knows SQL's own words only.
func (p *sqlPrompt) learn(ctx context.Context) {
	p.names = slices.Clone(sqlWords)
	rows, err := fetchRows(ctx, p.t, control.Query{SQL: `select distinct unnest([table_name, column_name]) as name from information_schema.columns where table_schema = 'main'`})
	if err == nil {
		for _, r := range rows.Rows {
			if s, ok := r["name"].(string); ok {
				p.names = append(p.names, s)
			}
		}
	}
	slices.Sort(p.names)
	p.names = slices.Compact(p.names)
}

// complete offers the names that begin with the word before the cursor.
func (p *sqlPrompt) complete(line string, pos int) (head string, completions []string, tail string) {
	before := []rune(line)
	head, tail = string(before[:min(pos, len(before))]), string(before[min(pos, len(before)):])
	start := strings.LastIndexFunc(head, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) + 1
	word := head[start:]
	if word == "" {
		return head, nil, tail
	}
	for _, name := range p.names {
		if strings.HasPrefix(name, strings.ToLower(word)) {
			completions = append(completions, name)
		}
	}
	return head[:start], completions, tail
}

// historyFile is where the session's lines are kept.
func historyFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "headlessly", "sql_history"), nil
}

func keepHistory(line *liner.State, path string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = line.WriteHistory(f) // the session is over: nobody is left to tell
	_ = f.Close()
}
