package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/gateway"
)

// folderCommand is a command that works on the folder of a gateway that is not
// running.
func folderCommand(stdio IO, use, short string, readOnly bool, run func(ctx context.Context, f *gateway.Folder, bar *progress) error) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use: use, Short: short, Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			f, err := gateway.OpenFolder(c.Context(), data, readOnly, errorsOnly(stdio))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close(context.WithoutCancel(c.Context()))) }()
			bar := newProgress(stdio.Err)
			defer bar.clear()
			return run(c.Context(), f, bar)
		},
	}
	c.Flags().StringVar(&data, "data", config.Default().Data, "data folder")
	return c
}

func errorsOnly(stdio IO) *slog.Logger {
	return slog.New(slog.NewTextHandler(stdio.Err, &slog.HandlerOptions{Level: slog.LevelError}))
}

// of turns a count into the bar's share.
func (p *progress) of(done, known int) {
	if known > 0 {
		p.show(float64(done) / float64(known))
	}
}

// table writes aligned rows.
func table(w io.Writer, head string, rows func(row func(format string, a ...any))) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, head)
	rows(func(format string, a ...any) { _, _ = fmt.Fprintf(t, format+"\n", a...) })
	return t.Flush()
}

func lakeCommand(stdio IO) *cobra.Command {
	c := &cobra.Command{
		Use: "lake", Short: "Look after the tables of a gateway that is not running",
		Long: "Look after the tables of a gateway that is not running. A running one compacts and\nexpires by itself.",
		Args: args(cobra.NoArgs),
	}
	c.AddCommand(
		folderCommand(stdio, "status", "Show each table's rows, files and snapshots", true, func(ctx context.Context, f *gateway.Folder, _ *progress) error {
			tables, err := f.Lake.Status(ctx)
			if err != nil {
				return err
			}
			return table(stdio.Out, "TABLE\tROWS\tFILES\tSMALL\tMB\tTENANTS\tSNAPSHOTS\tLOG FRAME\tLAST COMMIT", func(row func(string, ...any)) {
				for _, t := range tables {
					last := "never"
					if !t.LastCommit.IsZero() {
						last = t.LastCommit.UTC().Format(time.RFC3339)
					}
					row("%s\t%d\t%d\t%d\t%.1f\t%d\t%d\t%d\t%s", t.Name, t.Rows, t.Files, t.SmallFiles, float64(t.Bytes)/(1<<20), t.Tenants, t.Snapshots, t.Through, last)
				}
			})
		}),
		folderCommand(stdio, "compact", "Merge small files into larger, sorted ones", false, func(ctx context.Context, f *gateway.Folder, bar *progress) error {
			r, err := f.Lake.Compact(ctx, true, bar.of)
			bar.clear()
			_, printed := fmt.Fprintf(stdio.Out, "merged %d files into %d, %d rows\n", r.Removed, r.Added, r.Rows)
			return errors.Join(err, printed)
		}),
		folderCommand(stdio, "expire", "Forget old snapshots and remove files that nothing names", false, func(ctx context.Context, f *gateway.Folder, _ *progress) error {
			snapshots, err := f.Lake.Expire(ctx)
			if err != nil {
				return err
			}
			orphans, err := f.Lake.RemoveOrphans(ctx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(stdio.Out, "%d snapshots forgotten, %d orphaned files removed\n", snapshots, orphans)
			return err
		}),
		folderCommand(stdio, "verify", "Read every row of every table and check it", true, func(ctx context.Context, f *gateway.Folder, bar *progress) error {
			r, err := f.Lake.Verify(ctx, bar.of)
			bar.clear()
			if err != nil {
				return err
			}
			for _, fault := range r.Faults {
				_, _ = fmt.Fprintln(stdio.Out, fault)
			}
			if len(r.Faults) > 0 {
				return fmt.Errorf("%d faults in %d files", len(r.Faults), r.Files)
			}
			_, err = fmt.Fprintf(stdio.Out, "ok: %d rows in %d files\n", r.Rows, r.Files)
			return err
		}),
	)
	return c
}

func logCommand(stdio IO) *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Look into the log of a gateway that is not running", Args: args(cobra.NoArgs)}
	c.AddCommand(
		folderCommand(stdio, "inspect", "Show what the log holds and how far its readers are", true, func(ctx context.Context, f *gateway.Folder, _ *progress) error {
			in, err := f.Log.Inspect(ctx)
			if err != nil {
				return err
			}
			parked := map[string]int64{}
			for k, n := range in.Parked {
				state := "waiting"
				if k.Dead {
					state = "dead"
				} else if k.Unknown {
					state = "unknown"
				}
				parked[k.Tenant+"/"+k.Destination+"/"+state] = n
			}
			return printJSON(stdio.Out, map[string]any{
				"first": in.First, "last": in.Last, "frames": in.Frames, "bytes": in.Bytes, "firstTime": in.FirstTime, "lastTime": in.LastTime,
				"readers": in.Committed, "parked": parked,
			})
		}),
		folderCommand(stdio, "export", "Write the log's events and rejected input as NDJSON", true, func(ctx context.Context, f *gateway.Folder, _ *progress) error {
			enc := json.NewEncoder(stdio.Out)
			return f.Log.Export(ctx, 1, 0, func(fr headlessly.Frame) error { return exportFrame(enc, fr) })
		}),
		verifyLogCommand(stdio),
	)
	return c
}

func exportFrame(enc *json.Encoder, fr headlessly.Frame) error {
	for i, r := range fr.Records {
		out := map[string]any{"logSeq": headlessly.LogSeq(fr.Seq, i), "at": fr.Time}
		switch r.Kind {
		case headlessly.RecordEvent:
			var e headlessly.Event
			if err := e.UnmarshalBinary(r.Data); err != nil {
				return err
			}
			out["event"] = e
		case headlessly.RecordRejected:
			var e headlessly.Rejected
			if err := e.UnmarshalBinary(r.Data); err != nil {
				return err
			}
			out["rejected"] = e
		default:
			out["kind"], out["data"] = r.Kind, r.Data
		}
		if err := enc.Encode(out); err != nil {
			return err
		}
	}
	return nil
}

func verifyLogCommand(stdio IO) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use: "verify", Short: "Read every byte of the log and change nothing", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			reports, err := gateway.VerifyLog(c.Context(), data, errorsOnly(stdio))
			if err != nil {
				return err
			}
			damaged := 0
			err = table(stdio.Out, "STREAM\tFRAMES\tRECORDS\tMB\tFIRST\tLAST\tDAMAGED\tTORN BYTES\tLOST", func(row func(string, ...any)) {
				for _, r := range reports {
					damaged += r.Damaged
					row("%s\t%d\t%d\t%.1f\t%d\t%d\t%d\t%d\t%d", r.Stream, r.Messages, r.Records, float64(r.Bytes)/(1<<20), r.First, r.Last, r.Damaged, r.TornBytes, r.Lost)
				}
			})
			if err == nil && damaged > 0 {
				err = fmt.Errorf("%d damaged places; the next start sets the damage aside and salvages what is sound", damaged)
			}
			return err
		},
	}
	c.Flags().StringVar(&data, "data", config.Default().Data, "data folder")
	return c
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
