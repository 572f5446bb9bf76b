package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/cmd/imports"
)

const importHelp = `Read events out of files into the tables, each row once: NDJSON, CSV, TSV and
Parquet (also gzip or zstd), and what Segment, RudderStack, Snowplow (enriched
events) and PostHog export. The events go through the gateway's door and its log
like all others, but to no destination unless --forward says so.

Once means: what is in the tables or the log already is counted and not stored a
second time. An event's own id tells it; a row without one gets an id made of its
content, so that two rows that are alike in everything are one event (--line-ids
takes the file's name and the line instead).

Killed or cut off? The same command goes on where it stopped. Rows that can't be
taken are written to NAME.rejected.ndjson in this folder, with their line, the
reason and the row as it was.

Columns of CSV and Parquet: user_id, event, timestamp and their like are
understood, --map names others, and what is left becomes a property. The column
names of the events table are understood too, so that what
headlessly sql --format parquet "select * from events" writes can be read again.`

func importCommand(stdio IO) *cobra.Command {
	var t target
	var in imported
	c := &cobra.Command{
		Use:   "import FILE…",
		Short: "Read events out of files into the tables, each row once",
		Long:  importHelp,
		Example: `  headlessly import events.ndjson
  headlessly import --from segment --dry-run 1710000000000.gz
  headlessly import --from posthog posthog-*.parquet
  headlessly import --from snowplow enriched/part-*.gz
  headlessly import orders.csv --map buyer=userId --map paid_at=timestamp --map total=properties.revenue --set event='Order Completed'`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, files []string) error {
			if err := in.options.Validate(); err != nil {
				return usageError{err}
			}
			if slices.Contains(files, "-") && len(files) > 1 {
				return usageError{errors.New("- is standard input; it stands alone")}
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if in.dry {
				return in.look(ctx, files, stdio)
			}
			if err := t.resolve(); err != nil {
				return err
			}
			return in.run(ctx, &t, files, stdio)
		},
	}
	t.flags(c)
	f := c.Flags()
	f.StringVar(&in.options.From, "from", "", "whose export it is: native (the default), segment, rudderstack, snowplow, posthog")
	f.StringVar(&in.options.Format, "format", "", "ndjson, csv, tsv or parquet, where the file's name does not tell")
	f.StringArrayVar(&in.options.Map, "map", nil, "column=field, once for each: userId, timestamp, …, properties.x, traits.x, context.x, or - to leave it out")
	f.StringArrayVar(&in.options.Set, "set", nil, "field=value for every event (event='Order Completed')")
	f.BoolVar(&in.options.LineIDs, "line-ids", false, "an event without id gets one of the file's name and its line, not of its content")
	f.BoolVar(&in.options.Forward, "forward", false, "send the events to the tenant's destinations too")
	f.BoolVar(&in.dry, "dry-run", false, "send nothing: show the first events as they would be sent, count, and name the rows that can't be read")
	f.BoolVar(&in.again, "again", false, "read a file anew that was imported before")
	f.BoolVar(&in.unchecked, "no-table-check", false, "do not ask the tables what they have: events that came more than 24 hours ago are not recognised then")
	f.StringVar(&in.stateDir, "state", "", "folder that keeps where each import stands (default: headlessly/imports in your configuration folder)")
	f.StringVar(&in.rejected, "rejected", "", "file for rows that can't be taken, of all files (default: NAME.rejected.ndjson in this folder)")
	f.StringVar(&in.events, "events-url", "", "the gateway's public address, where it is not the one that it tells (or HEADLESSLY_EVENTS_URL)")
	return c
}

// imported is a call of the command.
type imported struct {
	options               imports.Options
	dry, again, unchecked bool
	stateDir, rejected    string
	events                string
}

func (in *imported) run(ctx context.Context, t *target, files []string, stdio IO) error {
	if in.stateDir == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return usageError{fmt.Errorf("no place to keep where the import stands: use --state (%w)", err)}
		}
		in.stateDir = filepath.Join(dir, "headlessly", "imports")
	}
	g, err := in.gateway(ctx, t)
	if err != nil {
		return err
	}
	ends := map[string]int64{} // of the bad rows so far, by file: several may share one
	for _, file := range files {
		bar := newProgress(stdio.Err)
		rejected := in.rejectedFile(file)
		res, err := imports.Run(ctx, imports.Job{
			Path: file, Stdin: stdio.In, Options: in.options, Gateway: g, Tenant: t.tenant, Address: t.url,
			StateDir: in.stateDir, BadRows: rejected, BadFrom: ends[rejected], Again: in.again, Progress: bar.show,
		})
		bar.clear()
		ends[rejected] = max(ends[rejected], res.BadTo)
		if res.Before {
			_, _ = fmt.Fprintf(stdio.Out, "%s: imported before, %d rows (--again reads it anew)\n", file, res.Rows)
			continue
		}
		_, _ = fmt.Fprintf(stdio.Out, "%s: %s\n", file, outcome(res, rejected))
		switch {
		case err != nil && ctx.Err() != nil:
			return errors.New("interrupted; the same command goes on from here")
		case err != nil:
			return fmt.Errorf("%w\nThe same command goes on from here", err)
		}
	}
	return nil
}

// rejectedFile is where a file's bad rows go.
func (in *imported) rejectedFile(file string) string {
	if in.rejected != "" {
		return in.rejected
	}
	if file == "-" {
		file = "stdin"
	}
	return filepath.Base(file) + ".rejected.ndjson"
}

func outcome(r imports.Result, rejected string) string {
	s := fmt.Sprintf("%d rows: %d taken, %d known already, %d bad", r.Rows, r.Taken, r.Known, r.Bad)
	if r.Bad > 0 {
		s += " (in " + rejected + ")"
	}
	if r.Resumed > 0 {
		s += fmt.Sprintf("; went on after row %d", r.Resumed)
	}
	return s
}

// Of a dry run.
const (
	shownEvents = 3
	shownFaults = 10
	shownNames  = 10
)

// look reads the files and shows what would be sent.
func (in *imported) look(ctx context.Context, files []string, stdio IO) error {
	for _, file := range files {
		names, shown, faults := map[string]int{}, 0, 0
		bar := newProgress(stdio.Err)
		res, err := imports.Run(ctx, imports.Job{Path: file, Stdin: stdio.In, Options: in.options, Progress: bar.show, Show: func(line int64, event []byte, fault *imports.Fault) {
			if fault != nil {
				if faults++; faults <= shownFaults {
					_, _ = fmt.Fprintf(stdio.Err, "%s:%d: %s %s\n", file, line, fault.Field, fault.Message)
				}
				return
			}
			var e struct{ Type, Event string }
			_ = json.Unmarshal(event, &e) // it was made by json.Marshal; what has other types counts as nameless
			names[cmp.Or(e.Event, e.Type)]++
			if shown++; shown <= shownEvents {
				_, _ = fmt.Fprintf(stdio.Out, "%s\n", event)
			}
		}})
		bar.clear()
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(stdio.Out, "%s: %d rows: %d would be sent, %d can't be read\n", file, res.Rows, res.Taken, res.Bad)
		most := make([]string, 0, len(names))
		for name := range names {
			most = append(most, name)
		}
		slices.SortFunc(most, func(a, b string) int {
			return cmp.Or(cmp.Compare(names[b], names[a]), strings.Compare(a, b))
		})
		for _, name := range most[:min(shownNames, len(most))] {
			_, _ = fmt.Fprintf(stdio.Out, "%8d  %s\n", names[name], name)
		}
	}
	return nil
}
