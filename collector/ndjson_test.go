package collector_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
)

type progress struct {
	Line, Accepted, Duplicates, Rejected int
	Done                                 bool
	Error, Field, Message                string
}

// upload sends a body and reads the lines of the answer.
func (g *gateway) upload(t testing.TB, path string, body io.Reader, headers ...string) (int, []progress) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://gateway"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out []progress
	for d := json.NewDecoder(res.Body); ; {
		var p progress
		err := d.Decode(&p)
		if err == io.EOF {
			return res.StatusCode, out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
}

func numbered(n int) *bytes.Buffer {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "{\"event\":\"E\",\"messageId\":\"m-%d\",\"ts\":1700000000000,\"properties\":{\"i\":%d}}\n", i, i)
	}
	return &b
}

func TestAnUploadIsToldLineByLine(t *testing.T) {
	g := start(t, withDedupe(t))
	body := numbered(5000)
	body.WriteString("\n{\"event\":5}\nnot json\n{\"event\":\"last, without a newline\"}")
	status, told := g.upload(t, "/e/ndjson?t=acme", body)
	last := told[len(told)-1]
	if want := (progress{Line: 5004, Accepted: 5001, Rejected: 2, Done: true}); status != 202 || last != want {
		t.Fatalf("got %d, %+v, want %+v", status, last, want)
	}
	var faults []progress
	steps := 0
	for _, p := range told[:len(told)-1] {
		if p.Error != "" {
			faults = append(faults, p)
			continue
		}
		steps++
	}
	if len(faults) != 2 || faults[0].Line != 5002 || faults[0].Field != "event" || faults[1].Line != 5003 || faults[1].Error != "invalid_json" {
		t.Errorf("got faults %+v", faults)
	}
	if steps < 3 {
		t.Errorf("progress was told %d times, want several", steps)
	}
	if n := len(g.log.events(t)); n != 5001 {
		t.Errorf("got %d events in the log, want 5001", n)
	}
	if kept := g.log.rejected(t); len(kept) != 2 || kept[1].Field != "line 5003" || string(kept[1].Raw) != "not json" {
		t.Errorf("got %+v", kept)
	}
	// And again: nothing is stored twice.
	if _, told := g.upload(t, "/e/ndjson?t=acme", numbered(5000)); told[len(told)-1].Duplicates != 5000 {
		t.Errorf("sent again: got %+v", told[len(told)-1])
	}
	if n := len(g.log.events(t)); n != 5001 {
		t.Errorf("got %d events after sending again, want 5001", n)
	}
}

func TestALineThatIsTooLongIsKeptAsFarAsItMayBe(t *testing.T) {
	g := start(t)
	long := `{"event":"E","properties":{"text":"` + strings.Repeat("abcdefghij", 40_000) + `"}}`
	_, told := g.upload(t, "/e/ndjson?t=acme", strings.NewReader("{\"event\":\"before\"}\n"+long+"\n{\"event\":\"after\"}\n"))
	if last := told[len(told)-1]; last.Accepted != 2 || last.Rejected != 1 {
		t.Errorf("got %+v", last)
	}
	kept := g.log.rejected(t)
	if len(kept) != 1 || !kept[0].Truncated || string(kept[0].Raw) != long[:headlessly.MaxRejectedBytes] {
		t.Errorf("kept %d, %.60q, want the line's first %d bytes", len(kept), kept[0].Raw, headlessly.MaxRejectedBytes)
	}
}

func TestProgressArrivesWhileTheUploadGoesOn(t *testing.T) {
	g := start(t)
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://gateway/e/ndjson?t=acme", r)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = w.Write([]byte("{\"event\":\"a\"}\n")) }()
	res, err := g.client.Do(req) // returns although the body is not at its end
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for i := 1; i <= 3; i++ {
		if i > 1 {
			go func() { _, _ = w.Write([]byte("{\"event\":\"a\"}\n")) }()
		}
		if !lines.Scan() || !strings.Contains(lines.Text(), fmt.Sprintf(`"line":%d,`, i)) {
			t.Fatalf("got %q, %v, want line %d", lines.Text(), lines.Err(), i)
		}
		if n := len(g.log.events(t)); n != i {
			t.Fatalf("line %d was told with %d events in the log", i, n)
		}
	}
	_ = w.Close()
	if !lines.Scan() || !strings.Contains(lines.Text(), `"done":true`) {
		t.Errorf("got %q, want the end", lines.Text())
	}
}

func TestAnUploadOfAnySizeInAnyEncoding(t *testing.T) {
	g := start(t)
	body := numbered(80_000) // 6 MB, more than a batch may have
	if body.Len() < headlessly.MaxBodyBytes {
		t.Fatal("the test's body is too small to show anything")
	}
	status, told := g.upload(t, "/e/ndjson?t=acme", bytes.NewReader(gz(body.Bytes())), "Content-Encoding: gzip")
	if last := told[len(told)-1]; status != 202 || last.Accepted != 80_000 || !last.Done {
		t.Errorf("got %d %+v", status, last)
	}
}

func TestIDsFromTheUploadsName(t *testing.T) {
	g := start(t, withDedupe(t))
	body := "{\"event\":\"a\"}\n{\"event\":\"b\"}\n"
	for range 2 {
		g.upload(t, "/e/ndjson?t=acme&upload=march", strings.NewReader(body))
	}
	g.upload(t, "/e/ndjson?t=acme&upload=april", strings.NewReader(body))
	if n := len(g.log.events(t)); n != 4 {
		t.Errorf("got %d events, want 2 of each upload", n)
	}
}

func TestAnUploadThatCannotGoOnSaysWhere(t *testing.T) {
	long := `{"event":"x","properties":{"p":"` + strings.Repeat("a", 300<<10) + "\"}}\n"
	for _, c := range []struct {
		name, path, body string
		headers          []string
		err              error
		status           int
		code             string
	}{
		{"the log is full", "/e/ndjson?t=acme", "{\"event\":\"a\"}\n", nil, headlessly.ErrLogFull, 507, "log_full"},
		{"a line that is too long", "/e/ndjson?t=acme", long + "{\"event\":\"a\"}\n", nil, nil, 202, "too_large"},
		{"not gzip", "/e/ndjson?t=acme", "hello", []string{"Content-Encoding: gzip"}, nil, 400, "invalid_encoding"},
		{"a bomb", "/e/ndjson?t=acme", string(gz(bytes.Repeat([]byte(" "), 64<<20))), []string{"Content-Encoding: gzip"}, nil, 413, "too_large"},
		{"no tenant", "/e/ndjson", "{}\n", nil, nil, 400, "no_tenant"},
		{"a key is demanded", "/e/ndjson?t=strict", "{}\n", nil, nil, 401, "unauthorized"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t)
			g.log.err = c.err
			status, told := g.upload(t, c.path, strings.NewReader(c.body), c.headers...)
			if status != c.status || told[0].Error != c.code {
				t.Errorf("got %d %+v, want %d %s", status, told, c.status, c.code)
			}
		})
	}
}

// fullAfter is a log with room for some appends.
type fullAfter struct {
	*memoryLog
	left atomic.Int64
}

func (l *fullAfter) Append(ctx context.Context, records ...headlessly.Record) (int64, error) {
	if l.left.Add(-1) < 0 {
		return 0, headlessly.ErrLogFull
	}
	return l.memoryLog.Append(ctx, records...)
}

func TestAnUploadThatEndsHalfwaySaysWhatIsStored(t *testing.T) {
	l := &fullAfter{memoryLog: &memoryLog{}}
	l.left.Store(3)
	g := start(t, func(c *collector.Config) { c.Log = l })
	status, told := g.upload(t, "/e/ndjson?t=acme", numbered(5000))
	last := told[len(told)-1]
	stored := len(l.events(t))
	if status != 202 || last.Error != "log_full" || stored == 0 || last.Line != stored {
		t.Fatalf("got %d %+v with %d events stored", status, last, stored)
	}
	if want := fmt.Sprintf("the gateway's disk is full; send again later; everything up to line %d is stored", stored); last.Message != want {
		t.Errorf("got %q, want %q", last.Message, want)
	}
}

func TestATenantsRateSlowsAnUploadDown(t *testing.T) {
	g := start(t, realClock, func(c *collector.Config) {
		d := testDirectory()
		d.policies["acme"] = collector.Policy{EventsPerSecond: 20_000, Burst: 1_000}
		c.Directory = d
	})
	status, told := g.upload(t, "/e/ndjson?t=acme", numbered(4000))
	if last := told[len(told)-1]; status != 202 || last.Accepted != 4000 {
		t.Errorf("got %d %+v", status, last)
	}
}
