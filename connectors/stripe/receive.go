package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	api "github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"
)

// tolerance is how far a signature's time may be from ours, both ways.
const tolerance = 5 * time.Minute

var (
	errSignature = errors.New("the Stripe-Signature does not match")
	errTime      = errors.New("the Stripe-Signature is more than five minutes from now")
)

// Verify implements connectors.Receiver.
func (*Connector) Verify(l *connectors.Link, r *headlessly.Receipt) error {
	secret := l.Secrets["webhookSecret"]
	if !secret.Set() {
		return connectors.ErrNoSecret
	}
	header := r.Header("stripe-signature")
	if err := webhook.ValidatePayloadIgnoringTolerance(r.Body, header, secret.Reveal()); err != nil {
		return errSignature
	}
	// stripe-go looks at the machine's clock, and at old times only.
	for part := range strings.SplitSeq(header, ",") {
		if t, ok := strings.CutPrefix(strings.TrimSpace(part), "t="); ok {
			seconds, err := strconv.ParseInt(t, 10, 64)
			if age := l.Clock().Sub(time.Unix(seconds, 0)).Abs(); err != nil || age > tolerance {
				return errTime
			}
		}
	}
	return nil
}

// Read implements connectors.Receiver.
func (c *Connector) Read(_ context.Context, l *connectors.Link, r *headlessly.Receipt) (connectors.Delivery, error) {
	id := idOf(r.Body)
	changes, err := c.event(newAPI(l), r.Body)
	return connectors.Delivery{ID: id, Changes: changes}, err
}

// event is what we read of an event.
type event struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Created    int64  `json:"created"`
	Livemode   bool   `json:"livemode"`
	Account    string `json:"account"`
	APIVersion string `json:"api_version"`
	Data       struct {
		Object json.RawMessage `json:"object"`
	} `json:"data"`
}

// event maps an event, from a webhook or from the list.
func (c *Connector) event(a *client, raw []byte) ([]connectors.Change, error) {
	var e event
	if err := decode(raw, &e); err != nil {
		return nil, err
	}
	if e.Livemode != (a.l.ConfigText(configMode) == "live") || a.account != "" && e.Account != "" && e.Account != a.account {
		return nil, nil // of the other mode, or of another account of the platform
	}
	ch, ok, err := objectOf(&e)
	if err != nil || !ok {
		return nil, err
	}
	ch.At = time.Unix(e.Created, 0).UTC()
	ch.Fresh = strings.HasSuffix(e.Type, ".created") && e.Type != "customer.discount.created"
	if ch.Partial {
		return []connectors.Change{ch}, nil
	}
	ch = c.again(a, ch)
	if !ch.Gone && (e.APIVersion != api.APIVersion || ch.Type == typeSubscription && unexpanded(e.Data.Object) || ch.Fields == nil || ch.Type == typePrice && tiered(e.Data.Object)) {
		ch = c.reread(a, ch)
	}
	return []connectors.Change{ch}, nil
}

func tiered(raw []byte) bool {
	var p struct {
		Scheme string            `json:"billing_scheme"`
		Tiers  []json.RawMessage `json:"tiers"`
	}
	return json.Unmarshal(raw, &p) == nil && p.Scheme == string(api.PriceBillingSchemeTiered) && len(p.Tiers) == 0
}

// objectOf maps the object of an event; ok is false for one that means nothing
// to us. Fields that are nil have to be read at Stripe.
func objectOf(e *event) (ch connectors.Change, ok bool, err error) {
	raw := e.Data.Object
	name := e.Type[:strings.LastIndexByte(e.Type, '.')+1]
	switch {
	case strings.HasPrefix(e.Type, "customer.discount."):
		var d struct {
			Customer     json.RawMessage `json:"customer"`
			Subscription string          `json:"subscription"`
		}
		if err := decode(raw, &d); err != nil {
			return ch, false, err
		}
		if d.Subscription != "" {
			return connectors.Change{Type: typeSubscription, Key: keySubscription, ID: d.Subscription}, true, nil
		}
		id := idOf(d.Customer)
		return connectors.Change{Type: typeCustomer, Key: keyCustomer, ID: id}, id != "", nil
	case name == "customer.":
		ch, err = customer(raw)
	case name == "product.":
		ch, err = product(raw)
	case name == "price.":
		ch, err = price(raw)
	case name == "customer.subscription.":
		ch, err = subscription(raw, true)
	case name == "invoice.":
		ch, err = invoice(raw, true)
	case name == "payment_intent.":
		ch, err = payment(raw, true)
	case e.Type == "charge.refunded":
		return charge(raw)
	case name == "invoice_payment.":
		return invoicePayment(raw)
	default:
		return ch, false, nil
	}
	if strings.HasSuffix(e.Type, ".deleted") && name != "customer.subscription." {
		ch.Gone = true
	}
	return ch, err == nil && ch.ID != "", err
}

// reader says how one object of a type is read at Stripe.
func reader(typ string) (path string, expand []string, read func([]byte) (connectors.Change, error)) {
	switch typ {
	case typeCustomer:
		return "/v1/customers/", []string{"discount.source.coupon"}, customer
	case typeProduct:
		return "/v1/products/", nil, product
	case typePrice:
		return "/v1/prices/", []string{"tiers"}, price
	case typeSubscription:
		return "/v1/subscriptions/", []string{"discounts.source.coupon", "items.data.discounts.source.coupon"}, func(raw []byte) (connectors.Change, error) { return subscription(raw, true) }
	case typeInvoice:
		return "/v1/invoices/", nil, func(raw []byte) (connectors.Change, error) { return invoice(raw, true) }
	}
	return "/v1/payment_intents/", []string{"latest_charge"}, func(raw []byte) (connectors.Change, error) { return payment(raw, true) }
}

// again gives a change the means to be read anew.
func (c *Connector) again(a *client, ch connectors.Change) connectors.Change {
	if ch.Partial || ch.Again != nil {
		return ch
	}
	typ, key, id := ch.Type, ch.Key, ch.ID
	ch.Again = func(ctx context.Context) (connectors.Change, error) { return c.fetch(ctx, a, typ, key, id) }
	return ch
}

// reread has lifecycle read the object at Stripe before anything else.
func (c *Connector) reread(_ *client, ch connectors.Change) connectors.Change {
	ch.Stale = true
	return ch
}

// fetch reads one object.
func (c *Connector) fetch(ctx context.Context, a *client, typ, key, id string) (connectors.Change, error) {
	path, expand, read := reader(typ)
	var raw json.RawMessage
	at, err := a.get(ctx, path+url.PathEscape(id), url.Values{"expand[]": expand}, &raw)
	if gone(err) {
		return connectors.Change{Type: typ, Key: key, ID: id, Gone: true, At: a.l.Clock()}, nil
	}
	if err != nil {
		return connectors.Change{}, err
	}
	if typ == typeSubscription {
		if raw, err = a.whole(ctx, raw); err != nil {
			return connectors.Change{}, err
		}
	}
	ch, err := read(raw)
	ch.At, ch.Fresh = at, true
	return ch, err
}
