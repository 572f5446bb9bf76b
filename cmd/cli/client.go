package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/gateway"
)

// target is the gateway that a command talks to.
type target struct {
	data, url, tenant, key string
}

// flags adds the flags that choose a target.
func (t *target) flags(c *cobra.Command) { t.pflags(c.Flags()) }

func (t *target) pflags(f *pflag.FlagSet) {
	f.StringVar(&t.data, "data", config.Default().Data, "data folder of a gateway on this machine")
	f.StringVar(&t.url, "url", "", "control plane of a gateway elsewhere (or HEADLESSLY_URL)")
	f.StringVar(&t.tenant, "tenant", "", "tenant (or HEADLESSLY_TENANT)")
}

// resolve completes the target: flags, then the environment, then the
// credentials in the data folder, then those of the last login. The key is
// never a flag, so that it stays out of the shell's history.
func (t *target) resolve() error {
	pick := func(dst *string, env string) {
		if *dst == "" {
			*dst = os.Getenv(env)
		}
	}
	pick(&t.url, "HEADLESSLY_URL")
	pick(&t.tenant, "HEADLESSLY_TENANT")
	pick(&t.key, "HEADLESSLY_API_KEY")
	c, err := gateway.ReadCredentials(t.data)
	if err != nil {
		if saved, found := savedLogin(); found && (t.url == "" || t.url == saved.URL) {
			c, err = saved, nil
		}
	}
	if err != nil && t.url == "" {
		return fmt.Errorf("no gateway found: there is none in %s (use --data, headlessly login, or --url with HEADLESSLY_API_KEY)", t.data)
	}
	if t.url == "" {
		t.url = c.URL
	}
	if t.tenant == "" {
		t.tenant = c.Tenant
	}
	if t.key == "" && err == nil {
		t.key = c.SecretKey
		if t.tenant != c.Tenant && c.AdminKey != "" {
			t.key = c.AdminKey // whoever reads the folder owns every tenant in it
		}
	}
	switch {
	case t.tenant == "":
		return usageError{errors.New("no tenant: use --tenant or HEADLESSLY_TENANT")}
	case t.key == "":
		return usageError{errors.New("no key: set HEADLESSLY_API_KEY to a secret key (hly_sk_…)")}
	}
	return nil
}

// refusal is the control plane's error body.
type refusal struct {
	Code    string    `json:"error"`
	Message string    `json:"message"`
	Field   string    `json:"field"`
	Details []refusal `json:"details"`
}

// Error says what was refused, one line for each field at fault.
func (r *refusal) Error() string {
	lines := []string{r.Message}
	for _, d := range r.Details {
		lines = append(lines, "  "+d.Message)
	}
	return strings.Join(lines, "\n")
}

// errNotRunning means that nobody answers at the target's address.
var errNotRunning = errors.New("the gateway is not running")

// connectionFault is why a connection failed, without the request and the
// address, which the reader knows.
func connectionFault(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	var name *net.DNSError
	if errors.As(err, &name) {
		return errors.New(name.Err)
	}
	var whole *url.Error
	if errors.As(err, &whole) {
		return whole.Err
	}
	return err
}

// call sends a request to /~{tenant}/path and gives the answer's body, which
// the caller closes.
func (t *target) call(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	return t.callWith(ctx, method, path, body, nil)
}

// callWith is call with further headers.
func (t *target) callWith(ctx context.Context, method, path string, body any, headers map[string]string) (io.ReadCloser, error) {
	var in io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(raw)
	}
	return t.send(ctx, method, path, "application/json", in, headers)
}

// stream posts NDJSON of any length.
func (t *target) stream(ctx context.Context, path string, in io.Reader) (io.ReadCloser, error) {
	return t.send(ctx, http.MethodPost, path, "application/x-ndjson", in, nil)
}

func (t *target) send(ctx context.Context, method, path, contentType string, in io.Reader, headers map[string]string) (io.ReadCloser, error) {
	res, err := t.respond(ctx, method, path, contentType, in, headers)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// respond sends a request and gives an answer that is no refusal.
func (t *target) respond(ctx context.Context, method, path, contentType string, in io.Reader, headers map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(t.url, "/")+"/~"+url.PathEscape(t.tenant)+"/"+path, in)
	if err != nil {
		return nil, usageError{err}
	}
	req.Header.Set("Authorization", "Bearer "+t.key)
	req.Header.Set("Content-Type", contentType)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := new(http.Client).Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w at %s: %w", errNotRunning, t.url, connectionFault(err))
	}
	if res.StatusCode < http.StatusBadRequest {
		return res, nil
	}
	defer res.Body.Close() //nolint:errcheck // read below
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	r := new(refusal)
	if json.Unmarshal(raw, r) != nil || r.Message == "" {
		return nil, fmt.Errorf("the gateway answered %s", res.Status)
	}
	return nil, r
}

// fetch decodes a JSON answer into to.
func (t *target) fetch(ctx context.Context, method, path string, body, to any) error {
	res, err := t.call(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Close() //nolint:errcheck // read to its end
	return decode(res, to)
}

// print copies a JSON answer, indented.
func (t *target) print(ctx context.Context, w io.Writer, method, path string, body any) error {
	res, err := t.call(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Close() //nolint:errcheck // read whole
	raw, err := io.ReadAll(res)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, strings.TrimSpace(out.String()))
	return err
}
