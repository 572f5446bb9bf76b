package outbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/outbox/outboxtest"
)

const (
	envDir   = "OUTBOX_TEST_DIR"
	envURL   = "OUTBOX_TEST_URL"
	envPoint = "OUTBOX_TEST_POINT" // "before send:3" kills at the third time
	killRows = 120
)

// TestMain is also the program that the kill test starts and kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		if err := victim(dir, os.Getenv(envURL), os.Getenv(envPoint)); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// victim makes entities while it delivers their events, until all are made and
// delivered, or until it kills itself. It prints each event that it was told is
// stored.
func victim(dir, url, point string) error {
	g, closeGraph, err := outboxtest.OpenGraph(dir)
	if err != nil {
		return err
	}
	defer closeGraph()
	name, times, _ := strings.Cut(point, ":")
	var left atomic.Int32
	n := int32(0)
	_, _ = fmt.Sscan(times, &n)
	left.Store(n)
	cfg := outbox.Default(g, dir)
	cfg.Schedule = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond}
	cfg.Point = func(at string) {
		if at == name && left.Add(-1) == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it arrives
		}
	}
	b, err := outbox.Open(context.Background(), cfg)
	if err != nil {
		return err
	}
	post := outbox.SenderFunc(func(ctx context.Context, events []*graph.Happened) (outbox.Answer, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(events[0].Event.ID))
		if err != nil {
			return outbox.Answer{}, err
		}
		res, err := (&http.Client{}).Do(req)
		if err != nil {
			return outbox.Answer{}, err
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return outbox.Answer{Status: res.StatusCode}, errors.New("status")
		}
		return outbox.Answer{Status: res.StatusCode}, nil
	})
	if err := b.Put(context.Background(), outbox.Endpoint{Tenant: "acme", ID: endpointID, Events: []string{"Deal.*"}, Sender: post}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), outboxtest.Patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	if err := work(ctx, g, b); err != nil {
		return err
	}
	cancel()
	return errors.Join(<-done, b.Close())
}

func work(ctx context.Context, g *graph.Store, b *outbox.Box) error {
	sc, err := g.Scope("acme", "apikey_test")
	if err != nil {
		return err
	}
	for {
		page, err := sc.Find(ctx, graph.Query{Type: "Deal", Limit: 1})
		if err != nil {
			return err
		}
		if page.Total >= killRows {
			break
		}
		r, err := sc.Do(ctx, graph.Op{Type: "Deal", Verb: graph.VerbCreate, Args: fields{"name": fmt.Sprint(page.Total)}})
		if err != nil {
			return err
		}
		_, _ = fmt.Println(r.Event.ID)
	}
	for {
		c, err := b.Count(ctx, "acme", endpointID)
		if err != nil {
			return err
		}
		if c.Pending == 0 && c.Taken >= killRows {
			return json.NewEncoder(os.Stderr).Encode(c)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// However the process is killed, every stored event is delivered, and the rows
// count as many as there are events.
func TestEveryEventIsDeliveredWhateverIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts processes")
	}
	for _, point := range []string{"before commit:1", "before commit:7", "after take:3", "before send:5", "after send:9", "after send:60"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			got := map[string]int{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id, _ := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				if got[string(id)]++; got[string(id)] == 1 && len(got)%7 == 0 {
					w.WriteHeader(http.StatusServiceUnavailable) // some fail once
				}
			}))
			defer server.Close()
			dir := t.TempDir()
			stored := map[string]bool{}
			var counts outbox.Counts
			for life := range 4 {
				if life == 3 {
					point = "" // the last one lives
				}
				out, last := live(t, dir, server.URL, point)
				for _, id := range out {
					stored[id] = true
				}
				if counts = last; counts.Taken > 0 && life < 3 && point != "" && counts.Pending == 0 {
					break
				}
			}
			if counts.Taken != killRows || counts.Delivered != killRows || counts.Parked != 0 {
				t.Errorf("got %+v, want %d taken and delivered", counts, killRows)
			}
			mu.Lock()
			defer mu.Unlock()
			for id := range stored {
				if got[id] == 0 {
					t.Errorf("event %s was stored and never delivered", id)
				}
			}
			if len(got) != killRows {
				t.Errorf("got %d different events, want %d", len(got), killRows)
			}
		})
	}
}

// live runs one life of the victim.
func live(t *testing.T, dir, url, point string) (stored []string, counts outbox.Counts) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), envDir+"="+dir, envURL+"="+url, envPoint+"="+point)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		stored = append(stored, lines.Text())
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != -1) {
		t.Fatalf("the process failed: %v\n%s", err, errs.String())
	}
	if err == nil {
		if jerr := json.Unmarshal([]byte(errs.String()), &counts); jerr != nil {
			t.Fatalf("%v: %s", jerr, errs.String())
		}
	}
	return stored, counts
}
