package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/gateway"
)

func serveCommand(stdio IO) *cobra.Command {
	var file string
	var flags config.Config
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Run the gateway until SIGTERM or Ctrl-C, then drain: the listener is closed,
requests are finished and the open frame is on disk before the process ends.`,
		Example: `  headlessly serve
  headlessly serve --data /var/lib/headlessly --config /etc/headlessly.yaml`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			for name, set := range map[string]func(){
				"data":          func() { cfg.Data = flags.Data },
				"listen":        func() { cfg.Listen = flags.Listen },
				"control":       func() { cfg.Control = flags.Control },
				"flight":        func() { cfg.Flight = flags.Flight },
				"public-url":    func() { cfg.PublicURL = flags.PublicURL },
				"nats":          func() { cfg.Log.NATS = flags.Log.NATS },
				"roles":         func() { cfg.Roles = flags.Roles },
				"allow-private": func() { cfg.Egress.AllowPrivate = flags.Egress.AllowPrivate },
			} {
				if c.Flags().Changed(name) {
					set()
				}
			}
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			return serve(c.Context(), cfg, stdio)
		},
	}
	d := config.Default()
	c.Flags().StringVar(&file, "config", "", "configuration file (YAML)")
	c.Flags().StringVar(&flags.Data, "data", d.Data, "folder of everything the gateway keeps")
	c.Flags().StringVar(&flags.Listen, "listen", d.Listen, "public address: script and events")
	c.Flags().StringVar(&flags.Control, "control", d.Control, "control plane's address: REST and SQL")
	c.Flags().StringVar(&flags.Flight, "flight", "", "Arrow Flight SQL's address, for ADBC and JDBC tools (127.0.0.1:8082)")
	c.Flags().StringVar(&flags.PublicURL, "public-url", "", "how browsers reach --listen, where that differs")
	c.Flags().StringVar(&flags.Log.NATS, "nats", "", "external JetStream cluster, nats://a:4222,nats://b:4222, in place of the embedded log")
	c.Flags().StringSliceVar(&flags.Roles, "roles", nil, "parts to run, of gateways that share a log: collect,forward,lake,control (all)")
	c.Flags().BoolVar(&flags.Egress.AllowPrivate, "allow-private", false, "let destinations be on loopback and private addresses (for trying things out)")
	return c
}

// The gateway shares its machine with what it serves, so it trades a little
// processor time for memory. Measured with bench's ingest load: gcPercent 50
// instead of 100 took the peak from 730–757 MB to 604–626 MB; on a later state,
// softMemory took it from 729 MB to 439 and 491 MB. Neither cost throughput above
// the noise of the machine. Beyond softMemory the collector works harder, nothing fails. GOGC and
// GOMEMLIMIT override them.
const (
	gcPercent  = 50
	softMemory = 360 << 20
)

func serve(ctx context.Context, cfg config.Config, stdio IO) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewTextHandler(stdio.Err, &slog.HandlerOptions{Level: slog.LevelInfo}))
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemory)
	}
	g, err := gateway.Open(ctx, cfg, logger)
	if err != nil {
		return err
	}
	banner(stdio.Out, g, cfg)
	err = g.Run(ctx)
	if err == nil {
		_, _ = fmt.Fprintln(stdio.Out, "drained: every acknowledged event is on disk")
	}
	return err
}

// banner says what to paste, where things are and what to try next.
func banner(w io.Writer, g *gateway.Gateway, cfg config.Config) {
	c := g.Credentials
	p := func(format string, a ...any) { _, _ = fmt.Fprintf(w, format+"\n", a...) }
	p("headlessly %s", Version)
	p("")
	if g.First {
		p("First start: made %s with the tenant %q and its keys.", cfg.Data, c.Tenant)
		p("  public key  %s   (for pages: appends events, nothing else)", c.PublicKey)
		p("  secret key  %s   (shown once; the CLI reads it from %s/credentials.json)", c.SecretKey, cfg.Data)
		p("")
	}
	if cfg.Runs(config.RoleCollect) {
		p("Paste this into your pages:")
		p(`  <script src="%s/v1" data-tenant="%s"></script>`, g.PublicURL(), c.Tenant)
		p("")
		p("Events    POST %s/e", g.PublicURL())
	} else {
		p("Roles     %s", strings.Join(cfg.Roles, ", "))
	}
	p("Health    GET  %s/healthz  /readyz  /metrics", g.PublicURL())
	if cfg.Runs(config.RoleControl) {
		p("Control   %s/~%s/   (REST and SQL, secret key)", g.ControlURL(), c.Tenant)
	}
	p("")
	if len(cfg.Roles) > 0 {
		return
	}
	p("Try, in another terminal:")
	p(`  curl %s/e -d '{"tenant":"%s","events":[{"event":"Hello"}]}'`, g.PublicURL(), c.Tenant)
	p(`  %s sql "select event, count(*) from events group by 1"%s`, program(), dataFlag(cfg))
	p("")
}

// program is how this binary was called: by its name, or through go run.
func program() string {
	if path, err := os.Executable(); err == nil && strings.Contains(path, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/headlessly"
	}
	return "headlessly"
}

// dataFlag is the flag that makes the CLI find this gateway, "" by default.
func dataFlag(cfg config.Config) string {
	if cfg.Data == config.Default().Data {
		return ""
	}
	return " --data " + cfg.Data
}
