package gateway

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/cmd/config"
)

// An upload that goes on for longer than the drain is cut off. The log must be
// closed whole all the same: else the next start searches it for damage.
func TestAClientThatDoesNotEndDoesNotCostTheLogItsCleanEnd(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Control = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "127.0.0.1:0"
	g, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	g.drain = 300 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()

	body, write := io.Pipe()
	defer write.Close() //nolint:errcheck // the request is over
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.public.Addr().String()+"/e/ndjson?t=default", body)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(write, `{"event":"a"}`+"\n") }()
	res, err := http.DefaultClient.Do(req) // its first line is stored, and it goes on
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // the request is cut off
	cancel()
	err = <-ended
	if err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("got %v, want that requests were cut off", err)
	}
	if err != nil && strings.Contains(err.Error(), "close log") {
		t.Errorf("the log was not closed whole: %v", err)
	}
}
