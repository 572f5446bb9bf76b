package gateway_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/gateway"
	"github.com/headlessly/headlessly/lakehouse"
)

const canary = "canary-person-7"

// providers stands in for PostHog's and Google's interfaces for deletions.
type providers struct {
	*httptest.Server
	mu    sync.Mutex
	fails int // requests to answer 503
	asked []string
}

func newProviders(t testing.TB) *providers {
	t.Helper()
	p := &providers{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case r.URL.Path == "/token":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"ga-token","token_type":"Bearer","expires_in":3600}`)
		case strings.HasSuffix(r.URL.Path, "/bulk_delete/") || strings.HasSuffix(r.URL.Path, ":submitUserDeletion"):
			if p.fails > 0 {
				p.fails--
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			p.asked = append(p.asked, r.URL.Path+" "+r.Header.Get("Authorization")+" "+string(body))
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *providers) requests() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.asked, "\n")
}

func serviceAccount(t testing.TB, tokenURI string) headlessly.Secret {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	raw, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "a@b.example", "private_key": string(text), "private_key_id": "1", "token_uri": tokenURI})
	if err != nil {
		t.Fatal(err)
	}
	return headlessly.NewSecret(string(raw))
}

type running struct {
	cfg  config.Config
	g    *gateway.Gateway
	stop func()
}

// freeAddr is an address that nobody listens on.
// It is below the ports that the system deals out, so that nobody else is given
// it until a child listens there, or while one that was killed is away.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 15_000+mathrand.IntN(15_000)) //nolint:gosec // no secret
		if l, err := net.Listen("tcp", addr); err == nil {                //nolint:noctx // a test
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

func run(t testing.TB, cfg config.Config) *running {
	t.Helper()
	g, err := gateway.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	var once sync.Once
	r := &running{cfg: cfg, g: g, stop: func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("gateway: %v", err)
			}
		})
	}}
	t.Cleanup(r.stop)
	return r
}

// post sends events of the default tenant and gives the answer.
func (r *running) post(t testing.TB, events ...map[string]any) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"tenant": r.g.Credentials.Tenant, "events": events})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post("http://"+r.cfg.Listen+"/e", "application/json", bytes.NewReader(body)) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read whole
	raw, _ := io.ReadAll(res.Body)
	return string(raw)
}

// call asks the control plane.
func (r *running) call(t testing.TB, method, path string, body any) (int, []byte) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, r.g.ControlURL()+"/~"+r.g.Credentials.Tenant+"/"+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.g.Credentials.SecretKey)
	res, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read whole
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, out
}

func forgetConfig(t testing.TB, p *providers) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Control = filepath.Join(t.TempDir(), "data"), freeAddr(t), freeAddr(t)
	cfg.Log.Reserve, cfg.Egress.AllowPrivate = 0, true
	cfg.Tenants = map[string]config.Tenant{"default": {Destinations: headlessly.Destinations{
		GA:      &headlessly.GADestination{MeasurementID: "G-ABCDEF1234", APISecret: headlessly.NewSecret("s"), Endpoint: p.URL, PropertyID: "123", ServiceAccount: serviceAccount(t, p.URL+"/token"), AdminEndpoint: p.URL},
		PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_x"), Host: p.URL, Capture: "v0", ProjectID: "9", PersonalKey: headlessly.NewSecret("phx_personal")},
	}}}
	return cfg
}

func TestAPersonIsForgottenEverywhere(t *testing.T) {
	p := newProviders(t)
	p.fails = 1 // the first destination asked is down: the deletion goes on by itself
	r := run(t, forgetConfig(t, p))
	r.post(t,
		map[string]any{"event": "Visited", "anonymousId": "visitor-77"},
		map[string]any{"event": "Signed Up", "userId": canary, "anonymousId": "visitor-77"},
		map[string]any{"event": "Visited", "userId": "another-user", "anonymousId": "visitor-78"},
	)
	status, raw := r.call(t, http.MethodPost, "forget", map[string]any{"userId": canary})
	for range 600 {
		if status == http.StatusOK {
			break
		}
		var pending struct{ ID, Status string }
		if status != http.StatusAccepted || json.Unmarshal(raw, &pending) != nil || pending.Status != "pending" {
			t.Fatalf("got %d %s", status, raw)
		}
		time.Sleep(100 * time.Millisecond)
		status, raw = r.call(t, http.MethodGet, "forget/"+pending.ID, nil)
	}
	var signed struct {
		Receipt struct {
			ID        string
			Users     int
			Visitors  int
			Remaining map[string]int64
			Log       struct{ Records int }
			Tables    []struct {
				Table string
				Rows  int
			}
			Destinations []struct {
				Destination, Status string
				IDs                 int
			}
		}
	}
	if err := json.Unmarshal(raw, &signed); err != nil || status != http.StatusOK {
		t.Fatalf("got %d %s, %v", status, raw, err)
	}
	if c := signed.Receipt; c.Users != 1 || c.Visitors != 1 || len(c.Remaining) != 0 || len(c.Destinations) != 2 {
		t.Errorf("receipt: %s", raw)
	}
	rows := map[string]int{} // deleted by the first try, which a destination kept from its end
	for _, table := range signed.Receipt.Tables {
		rows[table.Table] = table.Rows
	}
	if rows[lakehouse.TableEvents] != 2 || signed.Receipt.Log.Records != 2 {
		t.Errorf("the receipt tells of %d events in the tables and %d records in the log, want 2 and 2: %s", rows[lakehouse.TableEvents], signed.Receipt.Log.Records, raw)
	}
	if bytes.Contains(raw, []byte(canary)) {
		t.Errorf("the receipt names the person: %s", raw)
	}
	for _, want := range []string{
		"/api/projects/9/persons/bulk_delete/ Bearer phx_personal ", `"delete_events":true`, `"` + canary + `"`, `"visitor-77"`,
		`/v1alpha/properties/123:submitUserDeletion Bearer ga-token {"userId":"` + canary + `"}`, `{"clientId":"`,
	} {
		if got := p.requests(); !strings.Contains(got, want) {
			t.Errorf("no provider was asked %s; they were asked:\n%s", want, got)
		}
	}
	if strings.Contains(p.requests(), "another-user") {
		t.Error("somebody else was deleted at a provider")
	}
	if got := r.post(t, map[string]any{"event": "Back", "userId": canary}); !strings.Contains(got, `"forgotten"`) {
		t.Errorf("an event of the person was answered %s", got)
	}
	if got := r.post(t, map[string]any{"event": "Visited", "userId": "another-user"}); !strings.Contains(got, `"accepted":1`) {
		t.Errorf("an event of somebody else was answered %s", got)
	}
	verify := func(receipt json.RawMessage, user string) string {
		_, out := r.call(t, http.MethodPost, "forget/verify", map[string]any{"userId": user, "receipt": receipt})
		return string(out)
	}
	if got := verify(raw, canary); !strings.HasPrefix(got, `{"ok":true,"signature":true,"subject":true,"forgotten":true,"remaining":{}}`) {
		t.Errorf("verify: got %s", got)
	}
	if got := verify(raw, "another-user"); !strings.Contains(got, `"subject":false`) || !strings.Contains(got, `"ok":false`) {
		t.Errorf("another person's receipt: got %s", got)
	}
	if got := verify(bytes.Replace(raw, []byte(`"users":1`), []byte(`"users":2`), 1), canary); !strings.Contains(got, `"signature":false`) {
		t.Errorf("a changed receipt: got %s", got)
	}
	r.stop()
	wantNoTrace(t, r.cfg.Data)

	r = run(t, r.cfg)
	if got := r.post(t, map[string]any{"event": "Back", "userId": canary}); !strings.Contains(got, `"forgotten"`) {
		t.Errorf("after a restart an event of the person was answered %s", got)
	}
	if status, out := r.call(t, http.MethodDelete, "forget", map[string]any{"userId": canary}); status != http.StatusOK || !bytes.Contains(out, []byte(`"lifted":1`)) {
		t.Errorf("lift: got %d %s", status, out)
	}
	if got := r.post(t, map[string]any{"event": "Back", "userId": canary}); !strings.Contains(got, `"accepted":1`) {
		t.Errorf("after the lift an event was answered %s", got)
	}
}

// wantNoTrace looks for the person's id in every file of the data folder, as
// it is and as Parquet and zstd leave short texts: in plain.
func wantNoTrace(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path) //nolint:gosec // the test's own folder
		if bytes.Contains(raw, []byte(canary)) {
			t.Errorf("%s holds the person's id", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestADeletionSaysWhatIsWrongWithIt(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Control, cfg.Log.Reserve = filepath.Join(t.TempDir(), "data"), freeAddr(t), freeAddr(t), 0
	r := run(t, cfg)
	for name, c := range map[string]struct {
		method, path string
		body         any
		status       int
		want         string
	}{
		"nobody":          {http.MethodPost, "forget", map[string]any{}, 400, "userId is missing"},
		"no JSON":         {http.MethodPost, "forget", "x", 400, "the body must be like"},
		"no such one":     {http.MethodGet, "forget/forget_none", nil, 404, "no such deletion"},
		"no receipt":      {http.MethodPost, "forget/verify", map[string]any{"userId": "x"}, 400, "receipt is missing"},
		"not a receipt":   {http.MethodPost, "forget/verify", map[string]any{"userId": "x", "receipt": []int{1}}, 400, "is no receipt"},
		"a wrong method":  {http.MethodPut, "forget", map[string]any{}, 405, "use POST"},
		"nobody is known": {http.MethodPost, "forget", map[string]any{"userId": "never-seen"}, 200, `"destinations":[]`},
	} {
		if status, out := r.call(t, c.method, c.path, c.body); status != c.status || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: got %d %s, want %d %s", name, status, out, c.status, c.want)
		}
	}
}

// TestEntityEventsAreForgottenBeforeTheirCommit: what the graph has told and the
// tables do not have yet would come into them after the receipt.
func TestEntityEventsAreForgottenBeforeTheirCommit(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Control, cfg.Log.Reserve = filepath.Join(t.TempDir(), "data"), freeAddr(t), freeAddr(t), 0
	cfg.Lakehouse.CommitInterval = time.Hour
	r := run(t, cfg)
	if status, out := r.call(t, http.MethodPost, "Deal", map[string]any{"name": canary, "value": 0}); status != http.StatusCreated {
		t.Fatalf("got %d %s", status, out)
	}
	status, out := r.call(t, http.MethodPost, "forget", map[string]any{"userId": canary})
	var signed struct {
		Receipt struct {
			Tables []struct {
				Table string
				Rows  int
			}
			Notes []string
		}
	}
	if err := json.Unmarshal(out, &signed); err != nil || status != http.StatusOK {
		t.Fatalf("got %d %s, %v", status, out, err)
	}
	for _, table := range signed.Receipt.Tables {
		if table.Table == lakehouse.TableEntityEvents && table.Rows != 1 {
			t.Errorf("%d entity events were deleted, want 1: %s", table.Rows, out)
		}
	}
	if len(signed.Receipt.Notes) != 1 {
		t.Errorf("notes: got %q, want that the graph keeps the entity", signed.Receipt.Notes)
	}
}
