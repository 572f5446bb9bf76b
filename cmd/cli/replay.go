package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/forwarders/replays"
)

// replayPoll is how often a running replay is asked how far it is.
const replayPoll = 300 * time.Millisecond

func replayCommand(stdio IO) *cobra.Command {
	var t target
	in := map[string]*string{"destination": new(string), "from": new(string), "since": new(string), "until": new(string), "filter": new(string)}
	var resume string
	var rate float64
	var dry, detach, list bool
	c := &cobra.Command{
		Use:   "replay",
		Short: "Send past events to a destination again",
		Long: `Send past events to a destination again, with the ids and timestamps of the first
time: Sentry and PostHog drop what they have. Google Analytics drops nothing and
takes no event older than 72 hours. Ctrl-C stops; --resume goes on from there. A
replay that the gateway's stop interrupts goes on by itself.`,
		Example: `  headlessly replay --destination posthog --since 2026-11-01 --until 2026-11-08 --dry-run
  headlessly replay --destination ga4 --since 6h --filter 'type == "track" && revenue > 0' --rate 100
  headlessly replay --destination sentry --from dead
  headlessly replay --resume 0193a2b4-7c11-7e00-8a3c-5f0d1f4a9c77`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case list:
				return t.listReplays(c.Context(), stdio.Out)
			case *in["destination"] == "" && resume == "":
				return usageError{errors.New("name a --destination, or --resume ID, or --list")}
			}
			if err := t.resolve(); err != nil {
				return err
			}
			path, body := "replays", map[string]any{"perSecond": rate, "dryRun": dry}
			for k, v := range in {
				body[k] = *v
			}
			if resume != "" {
				path, body = "replays/"+resume+"/resume", nil
			}
			var job replays.Job
			if err := t.fetch(c.Context(), http.MethodPost, path, body, &job); err != nil {
				return err
			}
			if detach {
				_, err := fmt.Fprintln(stdio.Out, job.ID)
				return err
			}
			return t.watchReplay(c.Context(), stdio, job)
		},
	}
	t.flags(c)
	c.Flags().StringVar(in["destination"], "destination", "", "where to: ga4, sentry, posthog, http")
	c.Flags().StringVar(in["from"], "from", "", `where from: "log" (what it still holds), "lake" (every event ever stored), "dead" (what the destination refused); chosen by --since if not given`)
	c.Flags().StringVar(in["since"], "since", "", "events received from a time, a date or a span before now (90m, 36h, 7d) on")
	c.Flags().StringVar(in["until"], "until", "", "events received before then")
	c.Flags().StringVar(in["filter"], "filter", "", `an expression as in rules: type == "track" && properties.total > 100`)
	c.Flags().Float64Var(&rate, "rate", 0, "at most so many events a second")
	c.Flags().BoolVar(&dry, "dry-run", false, "send nothing, count what would be sent")
	c.Flags().StringVar(&resume, "resume", "", "go on with a replay that was stopped or failed")
	c.Flags().BoolVar(&detach, "detach", false, "do not wait for the end; prints the replay's id")
	c.Flags().BoolVar(&list, "list", false, "show the replays of this tenant")
	return c
}

func (t *target) listReplays(ctx context.Context, w io.Writer) error {
	if err := t.resolve(); err != nil {
		return err
	}
	var answer struct{ Results []replays.Job }
	if err := t.fetch(ctx, http.MethodGet, "replays", nil, &answer); err != nil {
		return err
	}
	return table(w, "ID\tCREATED\tDESTINATION\tFROM\tSTATE\tDONE\tSENT\tREFUSED\tERROR", func(row func(string, ...any)) {
		for _, j := range answer.Results {
			row("%s\t%s\t%s\t%s\t%s\t%.0f %%\t%d\t%d\t%s", j.ID, j.CreatedAt.Local().Format(clockFormat), j.Destination, j.From, j.State, j.Share*100, j.Report.Delivered, j.Report.Refused, j.Error)
		}
	})
}

// watchReplay shows a job's progress until it ends; an interruption stops it.
func (t *target) watchReplay(ctx context.Context, stdio IO, job replays.Job) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	last := context.WithoutCancel(ctx)
	bar := newProgress(stdio.Err)
	defer bar.clear()
	stopping := false
	for job.State == replays.Running {
		select {
		case <-ctx.Done():
			if !stopping {
				stopping = true
				if err := t.fetch(last, http.MethodPost, "replays/"+job.ID+"/stop", nil, &job); err != nil {
					return err
				}
			}
			time.Sleep(replayPoll)
		case <-time.After(replayPoll):
		}
		if err := t.fetch(last, http.MethodGet, "replays/"+job.ID, nil, &job); err != nil {
			return err
		}
		bar.show(job.Share)
	}
	bar.clear()
	return printReplay(stdio.Out, job)
}

func printReplay(w io.Writer, j replays.Job) error {
	r := j.Report
	line := fmt.Sprintf("read %d from the %s: %d outside of the selection, %d not sent by consent, bots or rules, ", r.Read, j.From, r.Filtered, r.Skipped)
	if j.DryRun {
		line += fmt.Sprintf("%d would be sent to %s", r.Matched, j.Destination)
	} else {
		line += fmt.Sprintf("%d sent to %s", r.Delivered, j.Destination)
		for _, more := range []struct {
			n    int64
			what string
		}{{r.Refused, "refused"}, {r.Parked, "parked for another try"}, {r.Unknown, "with an unknown outcome"}} {
			if more.n > 0 {
				line += fmt.Sprintf(", %d %s", more.n, more.what)
			}
		}
	}
	switch {
	case r.Missing > 0 && j.From == "dead":
		line += fmt.Sprintf("\n%d dead letters are damaged and were left out; the gateway's log names them, and their events may be in the lakehouse: replay them with --from lake", r.Missing)
	case r.Missing > 0:
		line += fmt.Sprintf("\n%d frames of the log were damaged, or trimmed before they were read; what they held may be in the lakehouse: replay it with --from lake", r.Missing)
	}
	if _, err := fmt.Fprintln(w, line); err != nil {
		return err
	}
	switch j.State {
	case replays.Failed:
		return fmt.Errorf("%s (go on with: headlessly replay --resume %s)", j.Error, j.ID)
	case replays.Stopped:
		_, err := fmt.Fprintf(w, "stopped; go on with: headlessly replay --resume %s\n", j.ID)
		return err
	}
	return nil
}
