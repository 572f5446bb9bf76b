package graph

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Help writes what a person needs to know about the type: fields and verbs.
func (t *Type) Help(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintf(tw, "%s (%s)\n\nFIELDS  ! required  # indexed  ## unique\n", t.Name, t.Domain)
	for i := range t.Fields {
		f := &t.Fields[i]
		_, _ = fmt.Fprintf(tw, "  %s\t%s\n", f.Name, f.Notation())
	}
	_, _ = fmt.Fprint(tw, "\nVERBS\n")
	for i := range t.Verbs {
		v := &t.Verbs[i]
		_, _ = fmt.Fprintf(tw, "  %s\t%s.%s\tbefore: %s\tafter: %s\n", v.Name, t.Name, v.Event, v.Gerund, v.Past)
	}
	if len(t.Events) > 0 {
		_, _ = fmt.Fprintf(tw, "\nFURTHER EVENTS\n  %s\n", strings.Join(t.Events, ", "))
	}
	return tw.Flush()
}

// Help writes one line for each type, by domain.
func (ts *Types) Help(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, t := range ts.list {
		var verbs []string
		for i := range t.Verbs {
			if !t.Verbs[i].Builtin {
				verbs = append(verbs, t.Verbs[i].Name)
			}
		}
		_, _ = fmt.Fprintf(tw, "%s\t%s\t%s\n", t.Name, t.Domain, strings.Join(verbs, ", "))
	}
	return tw.Flush()
}
