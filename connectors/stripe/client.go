package stripe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	api "github.com/stripe/stripe-go/v85"
)

// Retries within one call. Longer outages are lifecycle's business.
const (
	callTries = 4
	callPause = 500 * time.Millisecond
)

// client calls Stripe for one integration.
type client struct {
	l       *connectors.Link
	backend api.Backend
	key     string
	account string // of a platform's connected account
}

func newAPI(l *connectors.Link) *client {
	base := l.Text("apiBaseUrl")
	if base == "" {
		base = api.APIURL
	}
	b := api.GetBackendWithConfig(api.APIBackend, &api.BackendConfig{
		HTTPClient: l.Client, URL: &base, MaxNetworkRetries: api.Int64(0), EnableTelemetry: api.Bool(false),
		LeveledLogger: &api.LeveledLogger{Level: api.LevelNull},
	})
	return &client{l: l, backend: b, key: l.Secrets["apiKey"].Reveal(), account: l.ConfigText("connectAccount")}
}

// reply keeps an answer as it came.
type reply struct {
	api.APIResource
	body []byte
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *reply) UnmarshalJSON(b []byte) error {
	r.body = bytes.Clone(b)
	return nil
}

// listing is a page of any list.
type listing struct {
	Data    []json.RawMessage `json:"data"`
	HasMore bool              `json:"has_more"`
}

func (c *client) get(ctx context.Context, path string, q url.Values, out any) (time.Time, error) {
	return c.call(ctx, http.MethodGet, path, q, "", out)
}

func (c *client) post(ctx context.Context, path string, form url.Values, idempotency string, out any) (time.Time, error) {
	return c.call(ctx, http.MethodPost, path, form, idempotency, out)
}

// call makes one call, again after a fault that may pass when that cannot do it
// twice: with an idempotency key, or where Stripe says that it has not looked at
// the call. It returns Stripe's time of the answer.
func (c *client) call(ctx context.Context, method, path string, form url.Values, idempotency string, out any) (time.Time, error) {
	pause := callPause
	for try := 1; ; try++ {
		at, err := c.once(ctx, method, path, form, idempotency, out)
		var temporary *headlessly.Temporary
		if err == nil || try == callTries || !errors.As(err, &temporary) || method == http.MethodPost && idempotency == "" && !temporary.Throttled {
			return at, err
		}
		if err := c.l.Sleep(ctx, max(pause, temporary.After)); err != nil {
			return at, err
		}
		pause *= 2
	}
}

func (c *client) once(ctx context.Context, method, path string, form url.Values, idempotency string, out any) (time.Time, error) {
	p := &api.Params{Context: ctx}
	if idempotency != "" {
		p.IdempotencyKey = &idempotency
	}
	if c.account != "" {
		p.SetStripeAccount(c.account)
	}
	var r reply
	if err := c.backend.CallRaw(method, path, c.key, []byte(form.Encode()), p, &r); err != nil {
		return time.Time{}, c.explain(method, path, err)
	}
	at := c.l.Clock()
	if r.LastResponse != nil {
		if t, err := http.ParseTime(r.LastResponse.Header.Get("Date")); err == nil {
			at = t
		}
	}
	if out == nil {
		return at, nil
	}
	if err := json.Unmarshal(r.body, out); err != nil {
		return at, &headlessly.Permanent{Err: fmt.Errorf("read Stripe's answer to %s %s: %w", method, path, err)}
	}
	return at, nil
}

var permission = regexp.MustCompile(`rak_[a-z_]+`)

// explain turns an error of stripe-go into one of the contract.
func (c *client) explain(method, path string, err error) error {
	var e *api.Error
	if !errors.As(err, &e) {
		return &headlessly.Temporary{Err: fmt.Errorf("%s %s: %w", method, path, err)}
	}
	message := e.Msg
	if message == "" {
		message = http.StatusText(e.HTTPStatusCode)
	}
	if e.RequestID != "" {
		message += " (request " + e.RequestID + ")"
	}
	switch status := e.HTTPStatusCode; {
	case status == http.StatusUnauthorized:
		return &connectors.CredentialError{Field: "apiKey", Message: message}
	case status == http.StatusForbidden:
		missing := permission.FindAllString(e.Msg, -1)
		if missing == nil {
			missing = []string{strings.TrimPrefix(path, "/v1/")}
		}
		return &connectors.CredentialError{Field: "apiKey", Message: message, Missing: missing}
	case status == http.StatusTooManyRequests:
		t := &headlessly.Temporary{Throttled: e.Code != api.ErrorCodeLockTimeout, Err: errors.New(message)}
		if e.LastResponse != nil {
			if n, err := strconv.Atoi(e.LastResponse.Header.Get("Retry-After")); err == nil {
				t.After = time.Duration(n) * time.Second
			}
		}
		return t
	case status >= http.StatusInternalServerError || status == 0:
		return &headlessly.Temporary{Err: fmt.Errorf("%d: %s", status, message)}
	case e.Type == api.ErrorTypeIdempotency:
		return fmt.Errorf("%w: %s", errKeyUsed, message)
	default:
		return &connectors.RefusedError{Field: fieldOf(e.Param), Message: message, Status: status}
	}
}

// errKeyUsed means that an idempotency key was used for something else.
var errKeyUsed = errors.New("the idempotency key was used for another call")

// gone says whether an error means that the object is not there.
func gone(err error) bool {
	var refused *connectors.RefusedError
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound
}

// lost says whether an error means that the object which a page of a list
// begins or ends at is not there.
func lost(err error) bool {
	var refused *connectors.RefusedError
	return gone(err) || errors.As(err, &refused) && refused.Status == http.StatusBadRequest && (refused.Field == "startingAfter" || refused.Field == "endingBefore")
}

// fieldOf gives the entity's field that a parameter of Stripe comes from.
func fieldOf(param string) string {
	root, _, _ := strings.Cut(param, "[")
	switch root {
	case "":
		return ""
	case "items":
		if strings.Contains(param, "quantity") {
			return "quantity"
		}
		return "price"
	case "unit_amount":
		return "amount"
	case "recurring":
		return "interval"
	case "invoice_settings":
		return "paymentMethod"
	case "active":
		return "status"
	case "id", "intent", "payment_intent", "subscription_exposed_id":
		return "$id"
	}
	return camel(root)
}

func camel(s string) string {
	parts := strings.Split(s, "_")
	for i, p := range parts {
		if i > 0 && p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

// decode reads one object. An object of a form that we do not know is an error
// of that object alone.
func decode(raw []byte, out any) error {
	if err := json.Unmarshal(raw, out); err != nil {
		return &headlessly.Permanent{Err: fmt.Errorf("read an object of Stripe: %w", err)}
	}
	return nil
}
