package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/connectors/webhook"
)

// webhookPath is a webhook's path on the control plane.
func webhookPath(id, rest string) string { return "webhooks/" + url.PathEscape(id) + "/" + rest }

func webhookTest(stdio IO) *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:     "test ID",
		Short:   "post a test event to a webhook or Slack channel, once and at once",
		Example: `  headlessly webhook test integration_hV6nRxWm`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			var got webhook.Tested
			if err := t.fetch(c.Context(), http.MethodPost, webhookPath(a[0], "test"), nil, &got); err != nil {
				return err
			}
			if !got.Delivered {
				return fmt.Errorf("not delivered: %s %s", got.Error, got.Answer)
			}
			_, err := fmt.Fprintf(stdio.Out, "delivered in %d ms\n", got.DurationMs)
			return err
		},
	}
	t.flags(c)
	return c
}

// webhookDelivery is a delivery as the control plane shows it.
type webhookDelivery struct {
	ID, Event, Entity, Timestamp, State, NextAt, Answer string
	Attempts, Status, Replays                           int
}

func webhookDeliveries(stdio IO) *cobra.Command {
	var t target
	var state, event string
	var limit int
	var raw bool
	c := &cobra.Command{
		Use:   "deliveries ID",
		Short: "show where the events of a webhook or Slack channel stand, newest first",
		Long: `Show where the events of a webhook or Slack channel stand, newest first: pending,
delivered, or parked. Each single attempt is shown by headlessly deliveries --integration ID.`,
		Example: `  headlessly webhook deliveries integration_hV6nRxWm --state parked`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			for name, v := range map[string]string{"state": state, "event": event} {
				if v != "" {
					q.Set(name, v)
				}
			}
			path := webhookPath(a[0], "deliveries?"+q.Encode())
			if raw {
				return t.print(c.Context(), stdio.Out, http.MethodGet, path, nil)
			}
			var got struct {
				Results []webhookDelivery
				HasMore bool
			}
			if err := t.fetch(c.Context(), http.MethodGet, path, nil, &got); err != nil {
				return err
			}
			err := table(stdio.Out, "AT\tID\tEVENT\tENTITY\tSTATE\tTRIES\tANSWER\tNEXT", func(row func(string, ...any)) {
				for _, d := range got.Results {
					answer := d.Answer
					if d.Status != 0 {
						answer = strconv.Itoa(d.Status) + " " + answer
					}
					row("%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s", d.Timestamp, d.ID, d.Event, d.Entity, d.State, d.Attempts, answer, d.NextAt)
				}
			})
			if err == nil && got.HasMore {
				_, err = fmt.Fprintln(stdio.Err, "there are more: use --limit, --state, --event")
			}
			return err
		},
	}
	t.flags(c)
	c.Flags().StringVar(&state, "state", "", "only these: pending, delivered, parked")
	c.Flags().StringVar(&event, "event", "", "only events of this name, such as Deal.Closed")
	c.Flags().IntVar(&limit, "limit", 25, "at most so many")
	c.Flags().BoolVar(&raw, "json", false, "as JSON")
	return c
}

func webhookReplay(stdio IO) *cobra.Command {
	var t target
	var since, until string
	var all bool
	c := &cobra.Command{
		Use:   "replay ID [EVENT-ID]",
		Short: "send deliveries of a webhook or Slack channel again, in order",
		Long: `Sends the parked deliveries of a webhook or Slack channel again, in the order of
their events; with --all also what was delivered, and what happened before it was
connected. With the id of an event (evt_…) it sends that one, whatever became of it.`,
		Example: `  headlessly webhook replay integration_hV6nRxWm
  headlessly webhook replay integration_hV6nRxWm --since 36h --all
  headlessly webhook replay integration_hV6nRxWm evt_hV6nRxWmQk`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(c *cobra.Command, a []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			path, body := webhookPath(a[0], "replay"), map[string]any{"all": all}
			now := headlessly.SystemClock()
			for name, text := range map[string]string{"from": since, "to": until} {
				at, err := control.Instant(text, now)
				if err != nil {
					return usageError{fmt.Errorf("%q %w", text, err)}
				}
				if !at.IsZero() {
					body[name] = at.Format(time.RFC3339Nano)
				}
			}
			if len(a) == 2 {
				if len(body) > 1 || all {
					return usageError{errors.New("one event takes no --since, --until or --all")}
				}
				path, body = webhookPath(a[0], "deliveries/"+url.PathEscape(a[1])+"/replay"), nil
			}
			var got struct{ Replayed int64 }
			if err := t.fetch(c.Context(), http.MethodPost, path, body, &got); err != nil {
				return err
			}
			_, err := fmt.Fprintf(stdio.Out, "%d deliveries go again\n", got.Replayed)
			return err
		},
	}
	t.flags(c)
	c.Flags().StringVar(&since, "since", "", "events from a time, a date or a span before now (90m, 36h, 7d) on")
	c.Flags().StringVar(&until, "until", "", "until then")
	c.Flags().BoolVar(&all, "all", false, "also what was delivered")
	return c
}
