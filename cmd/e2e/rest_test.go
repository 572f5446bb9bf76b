package e2e_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// credentials are those of a gateway's first start.
type credentials struct{ Tenant, PublicKey, SecretKey, AdminKey string }

func (g *gateway) credentials(t testing.TB) (c credentials) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(g.dir, "credentials.json"))
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is what REST answered.
type answer struct {
	status int
	raw    string
	header http.Header
	object map[string]any // nil where the body is no object
}

// text gives a text of the answered object.
func (a answer) text(field string) string {
	s, _ := a.object[field].(string)
	return s
}

// do calls the control plane. Only a gateway that does not answer is an error.
func (g *gateway) do(ctx context.Context, key, method, path, body string, headers ...string) (a answer, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.control+path, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return a, err
	}
	a = answer{status: res.StatusCode, raw: string(raw), header: res.Header}
	_ = json.Unmarshal(raw, &a.object)
	return a, nil
}

// rest calls the control plane and wants a status.
func (g *gateway) rest(t testing.TB, key, method, path, body string, want int) answer {
	t.Helper()
	a, err := g.do(t.Context(), key, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if a.status != want {
		t.Fatalf("%s %s: got %d %.1000s, want %d", method, path, a.status, a.raw, want)
	}
	return a
}

// stream collects what a server-sent stream, or a WebSocket, sends.
type stream struct {
	mu   sync.Mutex
	data []string
}

func (s *stream) add(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = append(s.data, line)
}

func (s *stream) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.data...)
}

func (s *stream) has(part string) bool {
	for _, d := range s.all() {
		if strings.Contains(d, part) {
			return true
		}
	}
	return false
}

// sse follows a stream until the test ends. It returns once the stream began.
func (g *gateway) sse(t testing.TB, key, path string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.control+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %d", path, res.StatusCode)
	}
	s, done := new(stream), make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				s.add(data)
			}
		}
	}()
	t.Cleanup(func() { cancel(); _ = res.Body.Close(); <-done })
	return s
}

// socket opens a WebSocket of the control plane and collects its messages.
// handle may answer each; nil only collects.
func (g *gateway) socket(t testing.TB, key, path string, handle func(message map[string]any) any) (*websocket.Conn, *stream) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	dialing, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	ws, res, err := websocket.Dial(dialing, "http://"+g.control+path, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	_ = res
	ws.SetReadLimit(4 << 20)
	s, done := new(stream), make(chan struct{})
	go func() {
		defer close(done)
		for {
			_, raw, err := ws.Read(ctx)
			if err != nil {
				return
			}
			s.add(string(raw))
			var m map[string]any
			if handle == nil || json.Unmarshal(raw, &m) != nil {
				continue
			}
			if reply := handle(m); reply != nil {
				raw, _ := json.Marshal(reply)
				_ = ws.Write(ctx, websocket.MessageText, raw)
			}
		}
	}()
	t.Cleanup(func() { cancel(); _ = ws.CloseNow(); <-done })
	return ws, s
}

// hook registers a hook of a client and answers its calls.
func (g *gateway) hook(t testing.TB, key, tenant string, register map[string]any, handle func(message map[string]any) any) *stream {
	t.Helper()
	ws, s := g.socket(t, key, "/~"+tenant+"/hooks/ws", handle)
	register["type"] = "register"
	client := rand.Text() // one of the same name would replace it
	for _, m := range []any{map[string]any{"type": "hello", "version": 1, "client": client}, register} {
		raw, err := json.Marshal(m)
		if err == nil {
			err = ws.Write(t.Context(), websocket.MessageText, raw)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "the hook is registered", func() bool { return s.has(`"registered"`) })
	return s
}

// readFull reads as much of an answer's body as fits.
func readFull(res *http.Response, into []byte) (int, error) {
	defer res.Body.Close()
	return io.ReadFull(res.Body, into)
}
