package stripe

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	api "github.com/stripe/stripe-go/v85"
)

// Entity types, and the fields that know their objects.
const (
	typeCustomer     = "Customer"
	typeProduct      = "Product"
	typePrice        = "Price"
	typeSubscription = "Subscription"
	typeInvoice      = "Invoice"
	typePayment      = "Payment"

	keyCustomer     = "stripeCustomerId"
	keyProduct      = "stripeProductId"
	keyPrice        = "stripePriceId"
	keySubscription = "stripeSubscriptionId"
	keyInvoice      = "stripeInvoiceId"
	keyPayment      = "stripePaymentId"
)

// Names within an integration's config.
const (
	configAccount  = "account"         // acct_…
	configMode     = "mode"            // live or test
	configEndpoint = "webhookEndpoint" // we_…, when it is ours
	configWebhook  = "webhook"         // how changes come, for people
)

// Connector is the provider "stripe".
type Connector struct{}

// New makes the connector.
func New() *Connector { return &Connector{} }

// Kind implements connectors.Connector.
func (*Connector) Kind() connectors.Kind {
	crud := func(more ...string) []string { return append([]string{"create", "update", "delete"}, more...) }
	return connectors.Kind{
		Provider: "stripe", Name: "Stripe", Category: "Payment", AuthType: "ApiKey", URL: "https://stripe.com",
		Secrets: []string{"apiKey", "webhookSecret"}, Args: []string{"apiBaseUrl", "account"},
		SyncEvery: 15 * time.Minute,
		Verbs: map[string][]string{
			typeCustomer: crud(), typeProduct: crud(), typePrice: crud(),
			typeSubscription: crud("pause", "cancel", "reactivate", "upgrade", "downgrade", "activate", "renew"),
			typeInvoice:      crud("pay", "void", "finalize"),
			typePayment:      crud("refund", "capture"),
		},
	}
}

// probes are what a key must be able to read.
func probes() []string {
	return []string{"/v1/customers", "/v1/products", "/v1/prices", "/v1/subscriptions", "/v1/invoices", "/v1/payment_intents", "/v1/events"}
}

// Validate implements connectors.Connector. A restricted key that may not read
// something is refused with the permissions that it lacks.
func (c *Connector) Validate(ctx context.Context, l *connectors.Link) error {
	key := l.Secrets["apiKey"].Reveal()
	mode, err := modeOf(key)
	if err != nil {
		return err
	}
	if base := l.Text("apiBaseUrl"); base != "" {
		if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			return &headlessly.FieldError{Code: "validation_failed", Field: "apiBaseUrl", Message: "must be an address such as https://api.stripe.com"}
		}
	}
	if account := l.Text("account"); account != "" {
		l.Config["connectAccount"] = account
	}
	a := newAPI(l)
	var acct struct {
		ID string `json:"id"`
	}
	if _, err := a.get(ctx, "/v1/account", nil, &acct); err != nil {
		var cred *connectors.CredentialError
		if !errors.As(err, &cred) || len(cred.Missing) == 0 { // a restricted key may not be let see the account
			return err
		}
	}
	var missing []string
	for _, path := range probes() {
		var list listing
		_, err := a.get(ctx, path, url.Values{"limit": {"1"}}, &list)
		var cred *connectors.CredentialError
		if errors.As(err, &cred) && len(cred.Missing) > 0 {
			missing = append(missing, cred.Missing...)
		} else if err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return &connectors.CredentialError{Field: "apiKey", Message: "the restricted key lacks permissions; add them in Stripe under Developers, API keys", Missing: slices.Compact(missing)}
	}
	if b := l.Before; b != nil {
		if was := b.ConfigText(configMode); was != "" && was != mode {
			return &headlessly.FieldError{Code: "validation_failed", Field: "apiKey", Message: "is of " + mode + " mode, and this integration of " + was + " mode; connect it under another slug"}
		}
		if was := b.ConfigText(configAccount); was != "" && acct.ID != "" && was != acct.ID {
			return &headlessly.FieldError{Code: "validation_failed", Field: "apiKey", Message: "is of account " + acct.ID + ", and this integration of " + was + "; connect it under another slug"}
		}
	}
	l.Config[configMode] = mode
	if acct.ID != "" {
		l.Config[configAccount] = acct.ID
	}
	return nil
}

func modeOf(key string) (string, error) {
	switch {
	case key == "":
		return "", &headlessly.FieldError{Code: "validation_failed", Field: "apiKey", Message: "is missing: a secret key (sk_…) or a restricted key (rk_…), in Stripe under Developers, API keys"}
	case strings.HasPrefix(key, "pk_"):
		return "", &headlessly.FieldError{Code: "validation_failed", Field: "apiKey", Message: "is a publishable key (pk_…); a secret key (sk_…) or a restricted key (rk_…) is wanted"}
	case strings.HasPrefix(key, "sk_test_"), strings.HasPrefix(key, "rk_test_"):
		return "test", nil
	case strings.HasPrefix(key, "sk_"), strings.HasPrefix(key, "rk_"):
		return "live", nil
	}
	return "", &headlessly.FieldError{Code: "validation_failed", Field: "apiKey", Message: "does not look like a key of Stripe (sk_… or rk_…)"}
}

// Register implements connectors.Registrar. With a webhookSecret the user made
// an endpoint, and none is registered.
func (c *Connector) Register(ctx context.Context, l *connectors.Link) error {
	if slices.Contains(l.Given, "webhookSecret") {
		if err := c.unregister(ctx, l); err != nil {
			return err
		}
		l.Config[configWebhook] = "the endpoint that the user made"
		return nil
	}
	if l.Secrets["webhookSecret"].Set() && l.ConfigText(configEndpoint) == "" {
		return nil // given earlier
	}
	u, err := url.Parse(l.InboundURL)
	if err != nil || u.Scheme != "https" && l.Text("apiBaseUrl") == "" {
		l.Config[configWebhook] = "none: Stripe sends to https only; set publicUrl, or rely on the periodic sync"
		return nil //nolint:nilerr // the sync does without; the configuration says so
	}
	a := newAPI(l)
	platform := *a
	platform.account = "" // endpoints of connected accounts are the platform's
	known, err := c.endpoint(ctx, &platform, l)
	if err != nil {
		return c.tolerate(l, err)
	}
	form := url.Values{"enabled_events[]": webhookEvents(), "url": {l.InboundURL}}
	if known != "" && known == l.ConfigText(configEndpoint) && l.Secrets["webhookSecret"].Set() {
		form.Del("url")
		_, err := platform.post(ctx, "/v1/webhook_endpoints/"+known, form, "", nil)
		return c.tolerate(l, err)
	}
	if known != "" { // its secret was shown once, and we do not have it
		if _, err := platform.call(ctx, http.MethodDelete, "/v1/webhook_endpoints/"+known, nil, "", nil); err != nil {
			return c.tolerate(l, err)
		}
	}
	form.Set("api_version", api.APIVersion)
	form.Set("description", "headlessly "+l.Tenant)
	if a.account != "" {
		form.Set("connect", "true")
	}
	var made struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}
	if _, err := platform.post(ctx, "/v1/webhook_endpoints", form, "", &made); err != nil {
		return c.tolerate(l, err)
	}
	l.Config[configEndpoint], l.Config[configWebhook] = made.ID, "registered"
	l.Secrets["webhookSecret"] = headlessly.NewSecret(made.Secret)
	return nil
}

// tolerate lets an integration do without a webhook when Stripe does not let it
// register one: the periodic sync brings the same.
func (*Connector) tolerate(l *connectors.Link, err error) error {
	var cred *connectors.CredentialError
	var refused *connectors.RefusedError
	switch {
	case errors.As(err, &cred) && len(cred.Missing) > 0:
		l.Config[configWebhook] = "none: the key lacks " + strings.Join(cred.Missing, ", ") + "; the periodic sync brings changes"
	case errors.As(err, &refused):
		l.Config[configWebhook] = "none: Stripe refused the endpoint: " + refused.Message
	default:
		return err
	}
	return nil
}

// endpoint finds the webhook endpoint of this integration, "" for none.
func (*Connector) endpoint(ctx context.Context, a *client, l *connectors.Link) (string, error) {
	form := url.Values{"limit": {"100"}}
	for {
		var list listing
		if _, err := a.get(ctx, "/v1/webhook_endpoints", form, &list); err != nil {
			return "", err
		}
		last := ""
		for _, raw := range list.Data {
			var e struct{ ID, URL string }
			if decode(raw, &e) == nil && e.URL == l.InboundURL {
				return e.ID, nil
			}
			last = e.ID
		}
		if !list.HasMore || last == "" {
			return "", nil
		}
		form.Set("starting_after", last)
	}
}

// Disconnect implements connectors.Connector: it deletes the endpoint that
// Register made.
func (c *Connector) Disconnect(ctx context.Context, l *connectors.Link) error {
	return c.unregister(ctx, l)
}

func (c *Connector) unregister(ctx context.Context, l *connectors.Link) error {
	id := l.ConfigText(configEndpoint)
	if id == "" {
		return nil
	}
	a := newAPI(l)
	a.account = ""
	_, err := a.call(ctx, http.MethodDelete, "/v1/webhook_endpoints/"+id, nil, "", nil)
	if gone(err) {
		err = nil
	}
	if err == nil {
		delete(l.Config, configEndpoint)
		delete(l.Config, configWebhook)
	}
	return err
}

// webhookEvents are the events that an endpoint asks for.
func webhookEvents() []string {
	return []string{
		"customer.created", "customer.updated", "customer.deleted",
		"customer.discount.created", "customer.discount.updated", "customer.discount.deleted",
		"product.created", "product.updated", "product.deleted",
		"price.created", "price.updated", "price.deleted",
		"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted",
		"customer.subscription.paused", "customer.subscription.resumed",
		"customer.subscription.pending_update_applied", "customer.subscription.pending_update_expired",
		"invoice.created", "invoice.updated", "invoice.deleted", "invoice.finalized", "invoice.paid", "invoice.payment_failed",
		"invoice.voided", "invoice.marked_uncollectible", "invoice_payment.paid",
		"payment_intent.created", "payment_intent.processing", "payment_intent.succeeded", "payment_intent.payment_failed",
		"payment_intent.canceled", "payment_intent.amount_capturable_updated",
		"charge.refunded",
	}
}
