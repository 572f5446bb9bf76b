package lakehouse

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"
)

// TableOptions shape a result as text for people.
type TableOptions struct {
	// MaxRows is how many rows are shown, half from the start and half from
	// the end; default 200.
	MaxRows int
	// MaxWidth cuts each column; default 60.
	MaxWidth int
	// Width is the terminal's; columns are cut further, the widest first, until
	// a line fits. 0 does not.
	Width int
	// NoFooter leaves out the line with the number of rows and the time.
	NoFooter bool
}

// WriteTable writes the result as aligned text. Control characters are shown
// as escapes, so that no stored text can command the terminal.
func (r *Rows) WriteTable(ctx context.Context, w io.Writer, opts TableOptions) error {
	setDefault(&opts.MaxRows, 200)
	setDefault(&opts.MaxWidth, 60)
	head := make([]string, len(r.Columns))
	widths := make([]int, len(r.Columns))
	right := make([]bool, len(r.Columns))
	for i, c := range r.Columns {
		head[i] = cut(printable(c.Name), opts.MaxWidth)
		widths[i] = textWidth(head[i])
		right[i] = isNumber(c.Type)
	}
	rows, err := r.textRows(ctx, opts, widths)
	if err != nil {
		return err
	}
	fit(widths, opts.Width)
	for _, row := range append(rows, head) {
		for i := range row {
			row[i] = cut(row[i], widths[i])
		}
	}
	var b strings.Builder
	writeLine(&b, head, widths, right)
	for i, n := range widths {
		if i > 0 {
			b.WriteString("┼")
		}
		b.WriteString(strings.Repeat("─", n+2))
	}
	b.WriteByte('\n')
	for _, row := range rows {
		writeLine(&b, row, widths, right)
	}
	if !opts.NoFooter {
		b.WriteString(r.footer(len(rows)))
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// leastColumn is as narrow as fit makes a column.
const leastColumn = 6

// fit narrows columns, the widest first, until a line with its rules fits.
func fit(widths []int, total int) {
	if total <= 0 {
		return
	}
	line := 3*len(widths) - 1
	for _, n := range widths {
		line += n
	}
	for ; line > total; line-- {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if len(widths) == 0 || widths[widest] <= leastColumn {
			return
		}
		widths[widest]--
	}
}

// textRows renders the rows to show and widens widths to fit them.
func (r *Rows) textRows(ctx context.Context, opts TableOptions, widths []int) ([][]string, error) {
	skipFrom, skipTo := r.Count, r.Count
	if r.Count > int64(opts.MaxRows) {
		skipFrom = int64((opts.MaxRows + 1) / 2)
		skipTo = r.Count - int64(opts.MaxRows/2)
	}
	var rows [][]string
	n := int64(0)
	for rec, err := range r.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		for i := range int(rec.NumRows()) {
			at := n
			n++
			if at >= skipFrom && at < skipTo {
				continue
			}
			cells := make([]string, len(r.Columns))
			for c, col := range r.Columns {
				text, ok := cellText(rec.Column(c), i, col.Type)
				switch {
				case !ok:
					text = "∅"
				case strings.HasPrefix(col.Type, "TIMESTAMP"):
					text = strings.Replace(text, "T", " ", 1)
				}
				cells[c] = cut(printable(text), opts.MaxWidth)
				widths[c] = max(widths[c], textWidth(cells[c]))
			}
			if at == skipTo && skipTo > skipFrom {
				gap := make([]string, len(cells))
				for c := range gap {
					gap[c] = "…"
				}
				rows = append(rows, gap)
			}
			rows = append(rows, cells)
		}
	}
	return rows, nil
}

func (r *Rows) footer(shown int) string {
	s := fmt.Sprintf("(%d row", r.Count)
	if r.Count != 1 {
		s += "s"
	}
	if int64(shown) < r.Count {
		s += fmt.Sprintf(", %d shown", shown-1)
	}
	if r.Truncated {
		s += ", more were left out"
	}
	return s + fmt.Sprintf(", %s)\n", r.Elapsed.Round(time.Millisecond))
}

func writeLine(b *strings.Builder, cells []string, widths []int, right []bool) {
	for i, cell := range cells {
		if i > 0 {
			b.WriteString("│")
		}
		pad := strings.Repeat(" ", widths[i]-textWidth(cell))
		switch {
		case right[i]:
			b.WriteString(" " + pad + cell + " ")
		case i == len(cells)-1:
			b.WriteString(" " + cell)
		default:
			b.WriteString(" " + cell + pad + " ")
		}
	}
	b.WriteByte('\n')
}

func isNumber(typ string) bool {
	base, _, _ := strings.Cut(typ, "(")
	switch base {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL":
		return true
	}
	return false
}

// printable shows control and invisible formatting characters as escapes.
func printable(s string) string {
	clean := true
	for _, r := range s {
		if !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// textWidth is how many terminal cells a text takes.
func textWidth(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

func cut(s string, limit int) string {
	if textWidth(s) <= limit {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > limit-1 {
			return s[:i] + "…"
		}
	}
	return s
}
