package collector_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
)

// inbound knows one integration, whose requests carry the word "right".
type inbound struct{}

func (inbound) Verify(r *headlessly.Receipt) error {
	switch {
	case r.Tenant != "acme" || r.Provider != "github" || r.Integration != "integration_1":
		return collector.ErrUnknownIntegration
	case r.Header("X-Hub-Signature-256") != "right":
		return errors.New("signature does not match")
	}
	return nil
}

func withInbound(c *collector.Config) { c.Inbound = inbound{} }

func (l *memoryLog) receipts(t testing.TB) []headlessly.Receipt {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []headlessly.Receipt
	for _, rec := range l.records {
		if rec.Kind != headlessly.RecordReceipt {
			continue
		}
		var r headlessly.Receipt
		if err := r.UnmarshalBinary(rec.Data); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func TestAReceiptIsKeptAsItCame(t *testing.T) {
	g := start(t, withInbound)
	body := []byte("{ \"odd\" :\t1}\n\x00\xff")
	res, _ := g.post(t, "/~acme/in/github/integration_1?a=b", body, "X-Hub-Signature-256: right", "X-GitHub-Delivery: 7", "Authorization: Bearer secret", "Cookie: secret", "Content-Encoding: gzip")
	if res.StatusCode != 200 {
		t.Fatalf("got %d", res.StatusCode)
	}
	kept := g.log.receipts(t)
	if len(kept) != 1 || string(kept[0].Body) != string(body) || kept[0].Header("x-github-delivery") != "7" || kept[0].Query != "a=b" ||
		kept[0].Tenant != "acme" || kept[0].Integration != "integration_1" || kept[0].ReceivedAt != testTime.UnixMicro() {
		t.Errorf("got %+v", kept)
	}
	if strings.Contains(kept[0].Headers, "secret") {
		t.Errorf("credentials were kept: %q", kept[0].Headers)
	}
}

func TestAReceiptThatIsNotRightIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, path, signature string
		err                   error
		status                int
	}{
		{"wrong signature", "/~acme/in/github/integration_1", "wrong", nil, 401},
		{"unknown integration", "/~acme/in/github/integration_2", "right", nil, 404},
		{"another tenant's", "/~other/in/github/integration_1", "right", nil, 404},
		{"no such tenant name", "/~A b/in/github/integration_1", "right", nil, 404},
		{"a path with more parts", "/~acme/in/github/integration_1/x", "right", nil, 404},
		{"the log is full", "/~acme/in/github/integration_1", "right", headlessly.ErrLogFull, 507},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, withInbound)
			g.log.err = c.err
			res, r := g.post(t, strings.ReplaceAll(c.path, " ", "%20"), []byte("{}"), "X-Hub-Signature-256: "+c.signature)
			if res.StatusCode != c.status || r.Error == "" || len(g.log.receipts(t)) != 0 {
				t.Errorf("got %d %+v, want %d", res.StatusCode, r, c.status)
			}
		})
	}
	if res, _ := start(t).post(t, "/~acme/in/github/integration_1", nil); res.StatusCode != 404 {
		t.Errorf("without inbound integrations: got %d, want 404", res.StatusCode)
	}
}
