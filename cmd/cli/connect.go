package cli

import (
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

// connectCommand is Integration.connect for the provider analytics.
func connectCommand(stdio IO) *cobra.Command {
	var t target
	var provider, ga, gaEndpoint, posthogHost string
	c := &cobra.Command{
		Use:   "Integration.connect",
		Short: "Connect destinations: Google Analytics, Sentry, PostHog",
		Long: `Connect destinations to the tenant's analytics integration. Connecting again
merges. Secrets come from the environment: GA_API_SECRET, SENTRY_DSN, POSTHOG_KEY.`,
		Example: `  SENTRY_DSN=https://key@o1.ingest.sentry.io/2 POSTHOG_KEY=phc_… \
    headlessly Integration.connect --provider analytics --ga G-XXXXXXXXXX`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			d := map[string]any{}
			if ga != "" {
				m := map[string]any{"measurementId": ga}
				put(m, "apiSecret", os.Getenv("GA_API_SECRET"))
				put(m, "endpoint", gaEndpoint)
				d["ga"] = m
			}
			if dsn := os.Getenv("SENTRY_DSN"); dsn != "" {
				d["sentry"] = map[string]any{"dsn": dsn}
			}
			if key := os.Getenv("POSTHOG_KEY"); key != "" {
				m := map[string]any{"apiKey": key}
				put(m, "host", posthogHost)
				d["posthog"] = m
			}
			return t.print(c.Context(), stdio.Out, http.MethodPost, "Integration/connect", map[string]any{"provider": provider, "destinations": d})
		},
	}
	t.flags(c)
	c.Flags().StringVar(&provider, "provider", "analytics", "provider")
	c.Flags().StringVar(&ga, "ga", "", "Google Analytics measurement id (G-…)")
	c.Flags().StringVar(&gaEndpoint, "ga-endpoint", "", "another Google Analytics host, such as https://region1.google-analytics.com")
	c.Flags().StringVar(&posthogHost, "posthog-host", "", "PostHog host, such as https://eu.i.posthog.com")
	return c
}

func put(m map[string]any, key, value string) {
	if value != "" {
		m[key] = value
	}
}

func statusCommand(stdio IO) *cobra.Command {
	var t target
	c := &cobra.Command{
		Use: "status", Short: "Show the gateway's health and what was delivered", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			return t.print(c.Context(), stdio.Out, http.MethodGet, "status", nil)
		},
	}
	t.flags(c)
	return c
}
