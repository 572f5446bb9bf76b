package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/cmd/gateway"
	"github.com/headlessly/headlessly/connectors/graph"
)

// graphCommand looks after the entity graph, of a running gateway or of the
// data folder of one that is not.
func graphCommand(stdio IO) *cobra.Command {
	c := &cobra.Command{
		Use: "graph", Short: "Export, import and rebuild the entity graph",
		Long: "Export, import and rebuild the entity graph. Where no gateway is running, the\ncommands work on its data folder.",
		Args: args(cobra.NoArgs),
	}
	c.AddCommand(graphExport(stdio), graphImport(stdio), graphRebuild(stdio))
	return c
}

// offline runs f on the graph of a folder that no gateway is using.
func offline(ctx context.Context, t *target, stdio IO, f func(*graph.Store) error) (err error) {
	folder, err := gateway.OpenFolder(ctx, t.data, true, errorsOnly(stdio))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close(context.WithoutCancel(ctx))) }()
	g, err := folder.OpenGraph(ctx)
	if err != nil {
		return err
	}
	return f(g)
}

// actor is who changes a graph without a gateway.
const actor = "cli"

func graphExport(stdio IO) *cobra.Command {
	var t target
	var types []string
	var asOf, out string
	c := &cobra.Command{
		Use: "export", Short: "Write entities as NDJSON, as they are or as they were at a moment", Args: args(cobra.NoArgs),
		Example: "  headlessly graph export > entities.ndjson\n  headlessly graph export --type Contact --as-of 2025-09-15T14:32:00Z --out contacts.ndjson",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if err := t.resolve(); err != nil {
				return err
			}
			w := stdio.Out
			if out != "" {
				f, err := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, f.Close()) }()
				w = f
			}
			q := url.Values{}
			for _, name := range types {
				q.Add("type", name)
			}
			if asOf != "" {
				q.Set("asOf", asOf)
			}
			body, err := t.call(c.Context(), http.MethodGet, "export?"+q.Encode(), nil)
			if errors.Is(err, errNotRunning) {
				return offline(c.Context(), &t, stdio, func(g *graph.Store) error { return exportFrom(c.Context(), g, t.tenant, asOf, types, w) })
			}
			if err != nil {
				return err
			}
			defer body.Close() //nolint:errcheck // read whole
			_, err = io.Copy(w, body)
			return err
		},
	}
	t.flags(c)
	c.Flags().StringSliceVar(&types, "type", nil, "types to export (default: all but ApiKey)")
	c.Flags().StringVar(&asOf, "as-of", "", "moment: RFC 3339, or an event's seq")
	c.Flags().StringVarP(&out, "out", "o", "", "file to write (default: standard output)")
	return c
}

func exportFrom(ctx context.Context, g *graph.Store, tenant, asOf string, types []string, w io.Writer) error {
	scope, err := g.Scope(tenant, actor)
	if err != nil {
		return err
	}
	var at graph.AsOf
	if asOf != "" {
		if at, err = control.ParseAsOf(asOf); err != nil {
			return usageError{err}
		}
	}
	if len(types) == 0 {
		types = control.Movable(g.Types())
	}
	return scope.Export(ctx, w, at, types...)
}

func graphImport(stdio IO) *cobra.Command {
	var t target
	var typ string
	c := &cobra.Command{
		Use: "import [file]", Short: "Read entities from NDJSON; the same file can be imported again", Args: args(cobra.MaximumNArgs(1)),
		Long:    "Read entities from NDJSON, one a line, as export writes them. A line whose $id is\nknown updates that entity; one without makes a new entity. Lines at fault cost no other.",
		Example: "  headlessly graph import entities.ndjson\n  headlessly graph import --type Contact < contacts.ndjson",
		RunE: func(c *cobra.Command, a []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			in, size := stdio.In, int64(0)
			if len(a) > 0 && a[0] != "-" {
				f, err := os.Open(a[0])
				if err != nil {
					return err
				}
				defer f.Close() //nolint:errcheck // only read
				if info, err := f.Stat(); err == nil {
					size = info.Size()
				}
				in = f
			}
			bar := newProgress(stdio.Err)
			defer bar.clear()
			r := &metered{r: bufio.NewReaderSize(in, 1<<20), size: size, bar: bar}
			rep, err := importTo(c.Context(), &t, stdio, r, typ)
			bar.clear()
			if err != nil {
				return err
			}
			return tellImport(stdio, rep)
		},
	}
	t.flags(c)
	c.Flags().StringVar(&typ, "type", "", "type of lines without $type")
	return c
}

func importTo(ctx context.Context, t *target, stdio IO, r *metered, typ string) (rep control.Imported, err error) {
	q := url.Values{}
	if typ != "" {
		q.Set("type", typ)
	}
	body, err := t.stream(ctx, "import?"+q.Encode(), r)
	if errors.Is(err, errNotRunning) {
		err = offline(ctx, t, stdio, func(g *graph.Store) error {
			scope, err := g.Scope(t.tenant, actor)
			if err != nil {
				return err
			}
			done, err := scope.Import(ctx, r, graph.ImportOptions{Type: typ})
			rep = control.Report(done)
			return err
		})
		return rep, err
	}
	if err != nil {
		return rep, err
	}
	defer body.Close() //nolint:errcheck // read whole
	return rep, json.NewDecoder(body).Decode(&rep)
}

func tellImport(stdio IO, rep control.Imported) error {
	for _, f := range rep.Faults {
		_, _ = fmt.Fprintf(stdio.Err, "line %d: %s\n", f.Line, f.Err.Message)
	}
	_, err := fmt.Fprintf(stdio.Out, "%d lines: %d created, %d updated, %d unchanged, %d failed\n", rep.Lines, rep.Created, rep.Updated, rep.Unchanged, rep.Failed)
	if err == nil && rep.Failed > 0 {
		err = fmt.Errorf("%d lines were not taken", rep.Failed)
	}
	return err
}

// metered shows how much of a file has been read.
type metered struct {
	r    io.Reader
	size int64
	read int64
	bar  *progress
}

// Read implements io.Reader.
func (m *metered) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	m.read += int64(n)
	m.bar.of(int(m.read), int(m.size))
	return n, err
}

func graphRebuild(stdio IO) *cobra.Command {
	var t target
	c := &cobra.Command{
		Use: "rebuild", Short: "Build the graph's projection anew from its log", Args: args(cobra.NoArgs),
		Long: "Build the graph's projection (data/graph) anew from its log. A running gateway goes\non answering from the old one meanwhile; no event is lost either way.",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			bar := newProgress(stdio.Err)
			defer bar.clear()
			var last graph.Progress
			show := func(p graph.Progress) { last = p; bar.of(int(p.Done), int(p.Total)) } //nolint:gosec // a share of the log
			admin := t
			if creds, err := gateway.ReadCredentials(t.data); err == nil && os.Getenv("HEADLESSLY_API_KEY") == "" {
				admin.key = creds.AdminKey
			}
			admin.tenant = ""
			body, err := admin.call(c.Context(), http.MethodPost, "graph/rebuild", nil)
			switch {
			case errors.Is(err, errNotRunning):
				err = offline(c.Context(), &t, stdio, func(g *graph.Store) error { return g.Rebuild(c.Context(), show) })
			case err == nil:
				defer body.Close() //nolint:errcheck // read whole
				err = followRebuild(body, show)
			}
			bar.clear()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(stdio.Out, "rebuilt from %d messages\n", last.Done)
			return err
		},
	}
	t.flags(c)
	return c
}

// followRebuild reads a running gateway's progress.
func followRebuild(r io.Reader, show func(graph.Progress)) error {
	dec := json.NewDecoder(r)
	for {
		var line struct {
			graph.Progress
			refusal
		}
		switch err := dec.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case line.Code != "":
			return &line.refusal
		}
		show(line.Progress)
	}
}
