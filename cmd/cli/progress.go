package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
)

// progress is a bar on a terminal, drawn only when a query takes long; on
// anything but a terminal it does nothing.
type progress struct {
	w     io.Writer
	width int
	start time.Time

	mu    sync.Mutex
	drawn bool
	done  bool
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, width: terminal(w), start: headlessly.SystemClock()}
}

// show draws the share that is done, 0 to 1.
func (p *progress) show(share float64) {
	took := headlessly.SystemClock().Sub(p.start)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width == 0 || p.done || took < progressAfter {
		return
	}
	const cells = 30
	full := int(min(max(share, 0), 1) * cells)
	_, _ = fmt.Fprintf(p.w, "\r[%s%s] %3.0f %%  %s", strings.Repeat("█", full), strings.Repeat("·", cells-full), share*100, took.Round(100*time.Millisecond))
	p.drawn = true
}

// clear takes the bar off the screen for good.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.drawn, p.done = false, true
}

// poll asks the gateway how far a query is.
func (p *progress) poll(ctx context.Context, t *target, id string) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		res, err := t.call(ctx, http.MethodGet, "sql/"+id, nil)
		if err != nil {
			continue // the query may not have begun, or just ended
		}
		var at struct{ Progress float64 }
		err = json.NewDecoder(res).Decode(&at)
		_ = res.Close()
		if err == nil {
			p.show(at.Progress)
		}
	}
}
