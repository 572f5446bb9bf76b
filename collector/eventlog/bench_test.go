package eventlog_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/headlessly/headlessly"
)

// BenchmarkAppend compares durable appends with the least that any log can do:
// the same group commit onto a plain file with write and fsync. The ratio is
// reported as "of-file".
func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{1, 10} {
		for _, writers := range []int{64, 512} {
			b.Run(fmt.Sprintf("batch=%d/writers=%d", batch, writers), func(b *testing.B) {
				records := benchRecords(8192)
				// Both sides run twice, in turn, because the disk's speed drifts.
				var file, log float64
				f := newPlainFile(b)
				l := open(b, testConfig(b.TempDir()))
				n := max(b.N/2, 1)
				for range 2 {
					file += hammer(b, n, writers, batch, f.append, records)
					log += hammer(b, n, writers, batch, l.Append, records)
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(2*n*batch)/log, "records/s")
				b.ReportMetric(float64(2*n*batch)/file, "file-records/s")
				b.ReportMetric(file/log, "of-file")
				s := l.Stats()
				b.ReportMetric(float64(s.Records)/float64(s.Frames), "records/frame")
			})
		}
	}
}

// benchRecords are events of about 600 bytes, as compressible as real ones.
func benchRecords(n int) []headlessly.Record {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a seeded benchmark
	records := make([]headlessly.Record, n)
	for i := range records {
		e := headlessly.Event{
			MessageID: fmt.Sprintf("%08x-%04x-7000-8000-%012x", r.Uint32(), r.Uint32()%65536, r.Uint64()%(1<<48)),
			Tenant:    "acme", Type: headlessly.TypePage, Event: "page", Source: headlessly.SourceBrowser,
			AnonymousID: fmt.Sprintf("%016x", r.Uint64()), SessionID: fmt.Sprintf("%016x", r.Uint64()),
			Timestamp: 1_800_000_000_000_000 + r.Int64N(1e12), ReceivedAt: 1_800_000_000_000_000,
			URL: fmt.Sprintf("https://example.com/products/%d?ref=%x", r.IntN(10000), r.Uint64()), Host: "example.com",
			Path: fmt.Sprintf("/products/%d", r.IntN(10000)), Title: "A product of ours", Referrer: "https://www.google.com/",
			Channel: "organic search", Browser: "Chrome", BrowserVersion: "141.0", OS: "Linux", Device: "desktop",
			UserAgent:  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
			Properties: fmt.Sprintf(`{"price":%d,"variant":"%x"}`, r.IntN(100000), r.Uint32()),
		}
		data, _ := e.MarshalBinary()
		records[i] = headlessly.Record{Kind: headlessly.RecordEvent, Data: data}
	}
	return records
}

// hammer calls n appends of different records from writers goroutines and gives
// the seconds it took.
func hammer(b *testing.B, n, writers, batch int, add func(context.Context, ...headlessly.Record) (int64, error), records []headlessly.Record) float64 {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	start := headlessly.SystemClock()
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				at := int(i) * batch % (len(records) - batch)
				if _, err := add(context.Background(), records[at:at+batch]...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return headlessly.SystemClock().Sub(start).Seconds()
}

// plainFile is a group commit without anything: bytes, write, fsync.
type plainFile struct {
	f      *os.File
	mu     sync.Mutex
	buf    []byte
	spare  []byte
	done   chan struct{}
	kick   chan struct{}
	failed error
}

func newPlainFile(b *testing.B) *plainFile {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	p := &plainFile{f: f, done: make(chan struct{}), kick: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	wg.Go(p.run)
	b.Cleanup(func() {
		close(p.kick)
		wg.Wait()
		_ = f.Close()
	})
	return p
}

func (p *plainFile) append(_ context.Context, records ...headlessly.Record) (int64, error) {
	p.mu.Lock()
	for _, r := range records {
		p.buf = append(p.buf, r.Data...)
	}
	done := p.done
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default:
	}
	<-done
	return 0, p.failed
}

func (p *plainFile) run() {
	for range p.kick {
		p.mu.Lock()
		buf, done := p.buf, p.done
		p.buf, p.done = p.spare[:0], make(chan struct{})
		p.mu.Unlock()
		if _, err := p.f.Write(buf); err != nil {
			p.failed = err
		}
		if err := p.f.Sync(); err != nil {
			p.failed = err
		}
		p.spare = buf
		close(done)
	}
}

// BenchmarkRead is how fast one reader goes over a log that is on disk.
func BenchmarkRead(b *testing.B) {
	l := open(b, testConfig(b.TempDir()))
	records := benchRecords(1000)
	bytes := 0
	for _, r := range records {
		bytes += len(r.Data)
	}
	for range 200 {
		mustAppend(b, l, records...)
	}
	b.SetBytes(int64(200 * bytes))
	b.ResetTimer()
	for range b.N {
		n := 0
		for f, err := range l.Read(b.Context(), 1) {
			if err != nil {
				b.Fatal(err)
			}
			if n += len(f.Records); n == 200*len(records) {
				break
			}
		}
	}
}
