package collector_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/headlessly/headlessly/collector"
)

// gauge reads one of the collector's metrics.
func (g *gateway) gauge(t *testing.T, name string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("there is no metric %s", name)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// until waits for something that other goroutines bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatal(what)
		}
	}
}

// TestWhatWouldTakeTooLongIsRefusedBeforeItIsReadOrParsed: the log is stuck with
// a crowd before it. Whoever comes then is refused without being read, keeps its
// connection, and costs no memory; who was let in is served once the log goes on.
func TestWhatWouldTakeTooLongIsRefusedBeforeItIsReadOrParsed(t *testing.T) {
	const crowd = 80
	l := &stuckLog{freed: make(chan struct{})}
	var mu sync.Mutex
	now := testTime
	g := start(t, func(c *collector.Config) {
		c.Log = l
		c.Clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	large := []byte(`[` + strings.TrimSuffix(strings.Repeat(`{"event":"x","properties":{"p":"`+strings.Repeat("a", 1000)+`"}},`, 20), ",") + `]`)
	var wg sync.WaitGroup
	for range crowd {
		wg.Go(func() {
			if res, r := g.post(t, "/e?t=acme", large); res.StatusCode != 202 || r.Accepted != 20 {
				t.Errorf("of the crowd: got %d %+v", res.StatusCode, r)
			}
		})
	}
	until(t, "the crowd does not get to the log", func() bool { return len(l.tenants()) == crowd })
	if n := g.gauge(t, "headlessly_body_memory_bytes"); n < crowd*float64(len(large)) || n > crowd*4*float64(len(large)) {
		t.Errorf("%v bytes are counted for %d requests with records of %d bytes", n, crowd, len(large))
	}
	held := g.gauge(t, "headlessly_body_memory_bytes")
	mu.Lock()
	now = now.Add(5 * time.Second)
	mu.Unlock()

	conn, err := g.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	refused := func(what string) {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		var res fasthttp.Response
		if err := res.Read(r); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if res.StatusCode() != 503 || !strings.Contains(string(res.Body()), `"overloaded"`) || string(res.Header.Peek("Retry-After")) != "30" || res.ConnectionClose() {
			t.Errorf("%s: got %d %s, closes %v", what, res.StatusCode(), res.Body(), res.ConnectionClose())
		}
	}
	head := "POST /e?t=%s HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n%s"
	fmt.Fprintf(conn, head, "acme", 7, `{"event`)
	refused("what is not JSON")
	fmt.Fprintf(conn, head, "other", 100<<10, strings.Repeat(" ", 8<<10))
	refused("a body of which most is not sent yet")
	if _, err := io.WriteString(conn, strings.Repeat(" ", 92<<10)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, head, "acme", len(large), large)
	refused("a whole one behind it")
	if res, _ := g.do(t, http.MethodGet, "/e.gif?t=acme&event=x", nil); res.StatusCode != 503 {
		t.Errorf("a pixel: got %d", res.StatusCode)
	}
	if n := g.gauge(t, "headlessly_body_memory_bytes"); n != held {
		t.Errorf("%v bytes are counted after the refusals, want %v", n, held)
	}

	close(l.freed)
	wg.Wait()
	until(t, "something stays inside", func() bool {
		return g.gauge(t, "headlessly_requests_under_way") == 0 && g.gauge(t, "headlessly_body_memory_bytes") == 0
	})
	if res, r := g.post(t, "/e?t=acme", large); res.StatusCode != 202 {
		t.Errorf("after the crowd: got %d %+v", res.StatusCode, r)
	}
	if n := len(l.tenants()); n != crowd+1 {
		t.Errorf("%d requests got to the log, want %d", n, crowd+1)
	}
}
