package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

// maxWebhook bounds the body that webhook verify reads.
const maxWebhook = 16 << 20

// webhookCommand is what receivers of webhooks need at hand.
func webhookCommand(stdio IO) *cobra.Command {
	c := &cobra.Command{Use: "webhook", Short: "look after webhooks: deliveries, test, replay, verify a signature"}
	c.AddCommand(webhookDeliveries(stdio), webhookTest(stdio), webhookReplay(stdio), webhookVerify(stdio))
	return c
}

func webhookVerify(stdio IO) *cobra.Command {
	var headers []string
	var secret, body, at string
	c := &cobra.Command{
		Use:   "verify [flags] < body",
		Short: "say whether a webhook's signature is right, or why it is not",
		Long: `Verifies a request by its raw body and headers, as a receiver would: by
webhook-id, webhook-timestamp and webhook-signature (Standard Webhooks) where
they are given, else by X-Headlessly-Signature.

The secret comes from HEADLESSLY_WEBHOOK_SECRET, so that it stays out of the
shell's history, or from --secret.`,
		Example: `  headlessly webhook verify --body body.json \
    -H 'webhook-id: evt_…' -H 'webhook-timestamp: 1757946720' -H 'webhook-signature: v1,…'`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if secret == "" {
				secret = os.Getenv("HEADLESSLY_WEBHOOK_SECRET")
			}
			if secret == "" {
				return usageError{errors.New("no secret: set HEADLESSLY_WEBHOOK_SECRET, or give --secret")}
			}
			h := http.Header{}
			for _, line := range headers {
				name, value, ok := strings.Cut(line, ":")
				if !ok {
					return usageError{fmt.Errorf("header %q: want name: value", line)}
				}
				h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
			}
			now := headlessly.SystemClock()
			if at != "" {
				t, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return usageError{fmt.Errorf("--at %q: want a time such as 2025-09-15T14:32:00Z", at)}
				}
				now = t
			}
			raw, err := readBody(stdio, body)
			if err != nil {
				return err
			}
			if err := signature.Verify(secret, h, raw, now); err != nil {
				return err
			}
			_, err = fmt.Fprintln(stdio.Out, "the signature is right")
			return err
		},
	}
	c.Flags().StringArrayVarP(&headers, "header", "H", nil, "a header of the request, name: value (several times)")
	c.Flags().StringVar(&secret, "secret", "", "the webhook's secret (or HEADLESSLY_WEBHOOK_SECRET)")
	c.Flags().StringVar(&body, "body", "-", "file of the raw body, - for the standard input")
	c.Flags().StringVar(&at, "at", "", "verify as of this time instead of now")
	return c
}

func readBody(stdio IO, path string) ([]byte, error) {
	in := stdio.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxWebhook+1))
	if err == nil && len(raw) > maxWebhook {
		err = fmt.Errorf("the body is larger than %d MiB", maxWebhook>>20)
	}
	return raw, err
}
