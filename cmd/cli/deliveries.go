package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/forwarders"
)

const clockFormat = "2006-01-02 15:04:05.000"

func deliveriesCommand(stdio IO) *cobra.Command {
	var t target
	var destination, integration, outcome, since, until string
	var limit int
	var raw bool
	c := &cobra.Command{
		Use:   "deliveries",
		Short: "Show attempts at destinations and what came of them, newest first",
		Long: `Show attempts at destinations and what came of them, newest first. They are rows of
the table deliveries: headlessly sql "select destination, outcome, count(*) from deliveries group by all".`,
		Example: `  headlessly deliveries --destination sentry --outcome dead
  headlessly deliveries --destination webhook --integration integration_hV6nRxWm
  headlessly deliveries --since 1h --json`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			for k, v := range map[string]string{"destination": destination, "integration": integration, "outcome": outcome, "since": since, "until": until} {
				if v != "" {
					q.Set(k, v)
				}
			}
			if raw {
				return t.print(c.Context(), stdio.Out, http.MethodGet, "deliveries?"+q.Encode(), nil)
			}
			var answer struct {
				Results []forwarders.Attempt
				HasMore bool
			}
			if err := t.fetch(c.Context(), http.MethodGet, "deliveries?"+q.Encode(), nil, &answer); err != nil {
				return err
			}
			if len(answer.Results) == 0 {
				_, err := fmt.Fprintln(stdio.Err, "no attempt matches")
				return err
			}
			err := table(stdio.Out, "AT\tDESTINATION\tEVENT\tMESSAGE\tTRY\tTOOK\tOUTCOME\tANSWER", func(row func(string, ...any)) {
				for _, a := range answer.Results {
					row("%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s", a.At.Local().Format(clockFormat), a.Destination, a.Event, a.MessageID, a.Try,
						a.Took.Round(time.Millisecond), a.Outcome, said(a))
				}
			})
			if err == nil && answer.HasMore {
				_, err = fmt.Fprintln(stdio.Err, "there are more: use --limit, --since, --until")
			}
			return err
		},
	}
	t.flags(c)
	c.Flags().StringVar(&destination, "destination", "", "only this one: ga4, sentry, posthog, http, webhook, slack")
	c.Flags().StringVar(&integration, "integration", "", "only those of this webhook or Slack channel: its $id")
	c.Flags().StringVar(&outcome, "outcome", "", "only these: delivered, skipped, retry, dead, unknown")
	c.Flags().StringVar(&since, "since", "", "from a time, a date or a span before now (90m, 36h, 7d) on")
	c.Flags().StringVar(&until, "until", "", "until then")
	c.Flags().IntVar(&limit, "limit", 50, "at most so many")
	c.Flags().BoolVar(&raw, "json", false, "as JSON")
	return c
}

// said is a provider's answer in short.
func said(a forwarders.Attempt) string {
	out := ""
	if a.Status != 0 {
		out = strconv.Itoa(a.Status)
	}
	why := a.Error
	if why == "" && a.Outcome != forwarders.OutcomeDelivered {
		why = a.Note
	}
	if why != "" {
		if out != "" {
			out += " "
		}
		out += why
	}
	return out
}

func traceCommand(stdio IO) *cobra.Command {
	var t target
	var raw bool
	c := &cobra.Command{
		Use:   "trace ID",
		Short: "Show where one event went, when, and with what answer",
		Long: `Show where one event went, when, and with what answer. Its ID is the messageId, as it
was sent or as it is stored; or the id in the answer to the request that brought it
(that request's first event), or its place in the log; or evt_… of an entity's event.`,
		Example: `  headlessly trace 0193a2b4-7c11-7e00-8a3c-5f0d1f4a9c77
  headlessly trace evt_k3HqP9wZ`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			path := "events/" + url.PathEscape(a[0]) + "/trace"
			if raw {
				return t.print(c.Context(), stdio.Out, http.MethodGet, path, nil)
			}
			var tr forwarders.Trace
			if err := t.fetch(c.Context(), http.MethodGet, path, nil, &tr); err != nil {
				return err
			}
			return printTrace(stdio.Out, &tr)
		},
	}
	t.flags(c)
	c.Flags().BoolVar(&raw, "json", false, "as JSON")
	return c
}

func printTrace(w io.Writer, t *forwarders.Trace) error {
	name := t.Event
	if name != t.Type {
		name = t.Type + " " + t.Event
	}
	stored, nowhere := fmt.Sprintf("accepted %s, on disk and in the table events (log place %d)", t.ReceivedAt.Local().Format(clockFormat), t.LogSeq), "the tenant has no destination that it could go to"
	if t.Type == forwarders.TypeEntityEvent {
		name = t.Event
		stored, nowhere = fmt.Sprintf("happened %s, in the table entity_events", t.ReceivedAt.Local().Format(clockFormat)), "no webhook or channel was told of it"
	}
	if _, err := fmt.Fprintf(w, "%s  %s\n%s\n", t.MessageID, name, stored); err != nil {
		return err
	}
	if len(t.Destinations) == 0 {
		_, err := fmt.Fprintln(w, nowhere)
		return err
	}
	for _, d := range t.Destinations {
		line := fmt.Sprintf("→ %-8s %s", d.Destination, d.State)
		if d.Reason != "" {
			line += ": " + d.Reason
		}
		if !d.Next.IsZero() && d.State == "parked" {
			line += "; next try " + d.Next.Local().Format(clockFormat)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
		for _, a := range d.Attempts {
			replayed := ""
			if a.Replay {
				replayed = " (replay)"
			}
			if _, err := fmt.Fprintf(w, "    %s  try %d%s  %s after %s  %s\n", a.At.Local().Format(clockFormat), a.Try, replayed, a.Outcome, a.Took.Round(time.Millisecond), said(a)); err != nil {
				return err
			}
		}
	}
	return nil
}

// decode reads a JSON answer.
func decode(r io.Reader, to any) error {
	if err := json.NewDecoder(r).Decode(to); err != nil {
		return fmt.Errorf("read the gateway's answer: %w", err)
	}
	return nil
}
