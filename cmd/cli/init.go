package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func initCommand(stdio IO) *cobra.Command {
	var t target
	var site string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "init",
		Short: "Put the script on a site, and see the first event arrive",
		Long: `Print the line to paste for a site, then wait for the site's first event and
show it. The site's address is asked for unless --site names it.`,
		Example: `  headlessly init
  headlessly init --site https://my-startup.example --wait 10m
  headlessly init --site https://my-startup.example --wait 0     # print the line only`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			if site == "" {
				var err error
				if site, err = ask(stdio, "Your site's address (https://…): "); err != nil {
					return usageError{fmt.Errorf("name the site with --site: %w", err)}
				}
			}
			host, err := siteHost(site)
			if err != nil {
				return usageError{err}
			}
			return start(c.Context(), &t, host, wait, stdio)
		},
	}
	t.flags(c)
	c.Flags().StringVar(&site, "site", "", "the site's address")
	c.Flags().DurationVar(&wait, "wait", 5*time.Minute, "how long to wait for the first event")
	return c
}

// siteHost is the host of a site's address, with its port.
func siteHost(site string) (string, error) {
	if !strings.Contains(site, "://") {
		site = "https://" + site
	}
	u, err := url.Parse(strings.TrimSpace(site))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%q is no address of a site: it looks like https://my-startup.example", site)
	}
	return strings.ToLower(u.Host), nil
}

func start(ctx context.Context, t *target, host string, wait time.Duration, stdio IO) error {
	var status struct {
		PublicURL string `json:"publicUrl"`
	}
	if err := t.get(ctx, "status", &status); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdio.Out, "Paste this into the <head> of every page of %s:\n\n  <script src=\"%s/v1\" data-tenant=\"%s\"></script>\n\n", host, status.PublicURL, t.tenant)
	if wait <= 0 {
		return nil
	}
	_, _ = fmt.Fprintf(stdio.Out, "Then open the site. Waiting %s for its first event (Ctrl-C ends it) …\n", wait)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	e, err := firstEvent(ctx, t, host)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no event of %s in %s. Look in the browser's console and network panel for %s/v1; a content security policy must allow it in script-src and connect-src; headlessly doctor looks at the gateway's side", host, wait, status.PublicURL)
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(stdio.Out, "\nIt works: %s %s arrived from %s.\nAsk for more: headlessly sql \"select event, count(*) from events group by 1\"\n", e.Type, e.Event, e.URL)
	return err
}

// arrived is an event as the live tail shows it.
type arrived struct {
	Type  string `json:"type"`
	Event string `json:"event"`
	URL   string `json:"url"`
}

// firstEvent waits for an event of a page on host.
func firstEvent(ctx context.Context, t *target, host string) (arrived, error) {
	res, err := t.call(ctx, http.MethodGet, "events/live", nil)
	if err != nil {
		return arrived{}, err
	}
	defer res.Close() //nolint:errcheck // read as far as is needed
	s := bufio.NewScanner(res)
	s.Buffer(nil, maxTailLine)
	for s.Scan() {
		data, ok := bytes.CutPrefix(s.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var e arrived
		if json.Unmarshal(data, &e) != nil || e.URL == "" {
			continue
		}
		if u, err := url.Parse(e.URL); err == nil && strings.EqualFold(u.Host, host) {
			return e, nil
		}
	}
	if err := s.Err(); err != nil {
		return arrived{}, err
	}
	return arrived{}, errors.New("the gateway ended the stream: try again")
}

// get reads a JSON answer.
func (t *target) get(ctx context.Context, path string, into any) error {
	res, err := t.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer res.Close() //nolint:errcheck // read whole
	return json.NewDecoder(io.LimitReader(res, 16<<20)).Decode(into)
}

// ask asks a question on the terminal.
func ask(stdio IO, question string) (string, error) {
	if f, ok := stdio.In.(*os.File); ok && terminal(f) == 0 {
		return "", errors.New("there is no terminal to ask on")
	}
	_, _ = fmt.Fprint(stdio.Err, question)
	line, err := bufio.NewReader(stdio.In).ReadString('\n')
	if line = strings.TrimSpace(line); line != "" {
		return line, nil
	}
	if err == nil {
		err = errors.New("nothing was typed")
	}
	return "", err
}
