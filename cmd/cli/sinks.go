package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/forwarders/sinks"
)

func sinksCommand(stdio IO) *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "sinks",
		Short: "Run local stand-ins for Google Analytics, Sentry and PostHog",
		Long: `Run local stand-ins for Google Analytics, Sentry and PostHog, so that you can see
what would be sent. They refuse what the providers would refuse; a page lists
what arrived. Nothing is stored.`,
		Example: "  headlessly sinks --listen 127.0.0.1:9090",
		Args:    args(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return runSinks(c.Context(), listen, stdio) },
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:9090", "address")
	return c
}

func runSinks(ctx context.Context, listen string, stdio IO) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w (choose another address with --listen)", listen, err)
	}
	host := l.Addr().String()
	_, _ = fmt.Fprintf(stdio.Out, `Stand-ins for Google Analytics, Sentry and PostHog. What arrives: http://%[1]s/

Send events here, with the gateway started by: headlessly serve --allow-private

  SENTRY_DSN=http://public@%[1]s/1 POSTHOG_KEY=phc_local GA_API_SECRET=local \
    headlessly Integration.connect --provider analytics \
      --ga G-LOCAL00000 --ga-endpoint http://%[1]s --posthog-host http://%[1]s
`, host)
	srv := &http.Server{Handler: sinks.New(sinks.Config{}), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case <-ctx.Done():
	case err := <-failed:
		return err
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
