package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// maxTailLine bounds one line of the stream: an event with its properties.
const maxTailLine = 1 << 20

func tailCommand(stdio IO) *cobra.Command {
	var t target
	var event, kind, user string
	var raw bool
	c := &cobra.Command{
		Use:   "tail",
		Short: "Watch events arrive, and what comes of them at each destination",
		Example: `  headlessly tail
  headlessly tail --event 'Order *' --json`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			q := url.Values{}
			for k, v := range map[string]string{"event": event, "type": kind, "user": user} {
				if v != "" {
					q.Set(k, v)
				}
			}
			res, err := t.call(ctx, http.MethodGet, "events/live?"+q.Encode(), nil)
			if err != nil {
				return err
			}
			defer res.Close() //nolint:errcheck // read to its end
			err = printTail(res, stdio.Out, raw)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				return fmt.Errorf("the stream broke off: %w", err)
			}
			_, err = fmt.Fprintln(stdio.Err, "the gateway has ended the stream: it stops, or the key was revoked")
			return err
		},
	}
	t.flags(c)
	c.Flags().StringVar(&event, "event", "", "only events of this name or pattern")
	c.Flags().StringVar(&kind, "type", "", "only events of this type or pattern")
	c.Flags().StringVar(&user, "user", "", "only this user id or anonymous id")
	c.Flags().BoolVar(&raw, "json", false, "one JSON object a line")
	return c
}

// printTail writes the stream of server-sent events for a person or, raw, for
// a program.
func printTail(in io.Reader, w io.Writer, raw bool) error {
	s := bufio.NewScanner(in)
	s.Buffer(nil, maxTailLine)
	kind := ""
	for s.Scan() {
		line := s.Text()
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			kind = name
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var err error
		if raw {
			_, err = fmt.Fprintf(w, "{\"kind\":%q,\"data\":%s}\n", kind, data)
		} else {
			err = printLive(w, kind, data)
		}
		if err != nil {
			return err
		}
	}
	return s.Err()
}

func printLive(w io.Writer, kind, data string) error {
	var v struct {
		MessageID, Type, Event, UserID, AnonymousID, URL string
		ReceivedAt                                       time.Time
		Destination, Outcome, Error                      string
		Status                                           int
		Count                                            int64
		Tenant                                           string
	}
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		return err
	}
	short := v.MessageID[max(0, len(v.MessageID)-6):]
	var err error
	switch kind {
	case "open":
		_, err = fmt.Fprintf(w, "watching %s; Ctrl-C ends\n", v.Tenant)
	case "event":
		who := v.UserID
		if who == "" {
			who = v.AnonymousID
		}
		_, err = fmt.Fprintf(w, "%s  %s  %-9s %-24s %-20s %s\n", v.ReceivedAt.Local().Format("15:04:05.000"), short, v.Type, v.Event, who, v.URL)
	case "delivery":
		_, err = fmt.Fprintf(w, "%14s%s  → %-8s %s", "", short, v.Destination, v.Outcome)
		if err == nil && v.Status != 0 {
			_, err = fmt.Fprintf(w, " (%d)", v.Status)
		}
		if err == nil && v.Error != "" {
			_, err = fmt.Fprintf(w, " %s", v.Error)
		}
		if err == nil {
			_, err = fmt.Fprintln(w)
		}
	case "lost":
		_, err = fmt.Fprintf(w, "… %d passed over: they came faster than this terminal takes them\n", v.Count)
	}
	return err
}
