package forwarders_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/all"
	"github.com/headlessly/headlessly/forwarders/egress"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/sinks"
)

const (
	envDir   = "FORWARDERS_TEST_DIR"
	envSinks = "FORWARDERS_TEST_SINKS"
	envPoint = "FORWARDERS_TEST_POINT" // "before send:3" kills at the third time
	killRows = 120                     // events of the test

	killIntegration = "integration_9WJDrMPTJg2b"
)

// TestMain is also the program that the kill test starts and kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		if err := victim(dir, os.Getenv(envSinks), os.Getenv(envPoint)); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// victim runs a router on a folder until everything is committed and nothing
// waits for a retry, or until it kills itself.
func victim(dir, sinksURL, point string) error {
	log := forwardertest.NewLog(headlessly.SystemClock)
	for n := 0; n < killRows; n += 4 {
		log.Events(killEvent(n), killEvent(n+1), killEvent(n+2), killEvent(n+3))
	}
	disk := &diskLog{Log: log, path: filepath.Join(dir, "cursor")}
	parked, err := openParked(filepath.Join(dir, "parked"))
	if err != nil {
		return err
	}
	source := forwardertest.NewSource()
	host := strings.TrimPrefix(sinksURL, "http://")
	destinations := headlessly.Destinations{
		GA:      &headlessly.GADestination{MeasurementID: "G-1", APISecret: headlessly.NewSecret("s"), Endpoint: sinksURL},
		Sentry:  &headlessly.SentryDestination{DSN: headlessly.NewSecret("http://key@" + host + "/42")},
		PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_1"), Host: sinksURL},
		HTTP:    &headlessly.HTTPDestination{URL: headlessly.NewSecret(sinksURL + "/hook/x"), Batch: 10},
	}
	destinations.Named(killIntegration)
	source.Set("acme", destinations)
	name, times, _ := strings.Cut(point, ":")
	left := new(atomic.Int32)
	if n, err := strconv.Atoi(times); err == nil {
		left.Store(int32(n)) //nolint:gosec // a small number of the test
	}
	rows, err := os.OpenFile(filepath.Join(dir, "deliveries"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600) //nolint:gosec // as above
	if err != nil {
		return err
	}
	r, err := forwarders.NewRouter(forwarders.Config{
		Log: disk, Parked: parked, Deliveries: diskRows{rows}, Destinations: source, Registry: all.Registry(),
		Client:    egress.New(egress.Config{AllowPrivate: true}),
		RetryBase: 5 * time.Millisecond, ParkedBase: 20 * time.Millisecond, Scan: 20 * time.Millisecond, BreakBase: 20 * time.Millisecond,
		Point: func(at string) {
			if at == name && left.Add(-1) == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // until it arrives
			}
		},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for ctx.Err() == nil {
		idle := r.Totals().Committed == killRows/4
		for _, s := range r.Stats() {
			idle = idle && s.Pending == 0 && s.Parked == 0
		}
		if idle {
			cancel()
		}
		time.Sleep(5 * time.Millisecond)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("did not finish: %+v", r.Stats())
	}
	return <-done
}

func killEvent(n int) *headlessly.Event {
	kind := headlessly.TypeForm
	if n%3 == 0 {
		kind = headlessly.TypeError
	}
	day := headlessly.SystemClock().Truncate(24 * time.Hour) // the same in each run
	e := forwardertest.Event("acme", kind, n, day.Add(time.Duration(n)*time.Microsecond))
	e.Properties = fmt.Sprintf(`{"marker":"m%dm"}`, n)
	return e
}

// diskLog keeps its cursor in a file.
type diskLog struct {
	*forwardertest.Log
	path string
}

func (d *diskLog) Committed(context.Context, string) (uint64, error) {
	b, err := os.ReadFile(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(string(b), 10, 64)
}

func (d *diskLog) Commit(_ context.Context, _ string, seq uint64) error {
	tmp := d.path + ".tmp"
	if err := os.WriteFile(tmp, []byte(strconv.FormatUint(seq, 10)), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, d.path)
}

// diskParked is a parked store whose every change is a line of a file.
type diskParked struct {
	*forwardertest.Parked
	mu   sync.Mutex
	file *os.File
}

type parkedLine struct {
	Park   []headlessly.ParkedItem `json:",omitempty"`
	Remove []uint64                `json:",omitempty"`
}

func openParked(path string) (*diskParked, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600) //nolint:gosec // the test's own folder
	if err != nil {
		return nil, err
	}
	d := &diskParked{Parked: forwardertest.NewParked(), file: f}
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 64<<20)
	for scan.Scan() {
		var line parkedLine
		if json.Unmarshal(scan.Bytes(), &line) != nil {
			continue // torn by the kill: never acknowledged
		}
		_ = d.Parked.Park(context.Background(), line.Park...)     // memory: never fails
		_ = d.Parked.Remove(context.Background(), line.Remove...) // nor this
	}
	if err := scan.Err(); err != nil {
		return nil, err
	}
	// A kill may have torn the last line: what comes next must not join it.
	_, err = f.WriteString("\n")
	return d, err
}

func (d *diskParked) write(line parkedLine) error {
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = d.file.Write(append(b, '\n'))
	return err
}

func (d *diskParked) Park(ctx context.Context, items ...headlessly.ParkedItem) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.write(parkedLine{Park: items}); err != nil {
		return err
	}
	return d.Parked.Park(ctx, items...)
}

func (d *diskParked) Remove(ctx context.Context, ids ...uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.write(parkedLine{Remove: ids}); err != nil {
		return err
	}
	return d.Parked.Remove(ctx, ids...)
}

// diskRows keeps each append of attempts as a line of a file.
type diskRows struct{ file *os.File }

func (d diskRows) Append(_ context.Context, records ...headlessly.Record) (int64, error) {
	line := []byte("\n") // a kill may have torn the one before
	for _, r := range records {
		line = append(hex.AppendEncode(line, r.Data), ' ')
	}
	_, err := d.file.Write(line)
	return 0, err
}

// recordedRows reads the attempts that the appends left.
func recordedRows(t *testing.T, dir string) []headlessly.Delivery {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "deliveries")) //nolint:gosec // as above
	if err != nil {
		t.Fatal(err)
	}
	var out []headlessly.Delivery
	for line := range strings.Lines(string(b)) {
		for _, text := range strings.Fields(line) {
			var d headlessly.Delivery
			data, err := hex.DecodeString(text)
			if err != nil || d.UnmarshalBinary(data) != nil {
				continue // torn by the kill: its frame is not committed
			}
			out = append(out, d)
		}
	}
	return out
}

// run starts the victim and says whether it was killed.
func run(t *testing.T, dir, url, point string) (killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very test
	cmd.Env = append(os.Environ(), envDir+"="+dir, envSinks+"="+url, envPoint+"="+point)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			return true
		}
	}
	if err != nil {
		t.Fatalf("victim: %v\n%s", err, out)
	}
	return false
}

func TestAKillAtAnyPointLosesNothing(t *testing.T) {
	for _, point := range []string{
		forwarders.PointBeforeSend, forwarders.PointAfterSend, forwarders.PointBeforePark, forwarders.PointAfterPark,
		forwarders.PointBeforeRecord, forwarders.PointAfterRecord, forwarders.PointBeforeCommit,
	} {
		t.Run(point, func(t *testing.T) {
			s := sinks.New(sinks.Config{})
			server := httptest.NewServer(s)
			defer server.Close()
			// Each destination refuses a while and says no for good once.
			for _, kind := range []string{sinks.GA4, sinks.Sentry, sinks.PostHog, sinks.Hook} {
				s.Fail(sinks.Fault{Kind: kind, Times: 6, Status: 503})
				s.Fail(sinks.Fault{Kind: kind, Times: 1, Status: 403})
			}
			dir := t.TempDir()
			kills := 0
			for _, n := range []int{1, 2, 4} {
				if run(t, dir, server.URL, fmt.Sprintf("%s:%d", point, n)) {
					kills++
				}
			}
			if kills == 0 {
				t.Fatal("was never killed: the point is not reached")
			}
			run(t, dir, server.URL, "")
			parked, err := openParked(filepath.Join(dir, "parked"))
			if err != nil {
				t.Fatal(err)
			}
			found := map[string]map[string]bool{} // by destination, markers
			note := func(destination, text string) {
				if found[destination] == nil {
					found[destination] = map[string]bool{}
				}
				for n := range killRows {
					if m := fmt.Sprintf(`"m%dm"`, n); strings.Contains(text, m) {
						found[destination][m] = true
					}
				}
			}
			for _, e := range s.Events("") {
				if e.Kind == sinks.Hook {
					e.Kind = headlessly.DestinationHTTP
				}
				note(e.Kind, string(e.Payload))
			}
			for _, it := range parked.All() {
				if !it.Dead && !it.Unknown {
					t.Errorf("left waiting: %s at %s: %s", it.Destination, it.Tenant, it.Reason)
				}
				var e headlessly.Event
				if err := e.UnmarshalBinary(it.Event); err != nil {
					t.Fatal(err)
				}
				note(it.Destination, e.Properties)
			}
			for destination, want := range map[string]int{"ga4": killRows, "posthog": killRows, "sentry": killRows / 3, "http": killRows} {
				if got := len(found[destination]); got != want {
					t.Errorf("%s: %d events delivered or parked, want %d", destination, got, want)
				}
			}
			told := map[string]map[string]bool{} // by destination, events of which a row tells how it ended
			for _, d := range recordedRows(t, dir) {
				if told[d.Destination] == nil {
					told[d.Destination] = map[string]bool{}
				}
				if d.Integration != killIntegration {
					t.Fatalf("a row names the integration %q, want %q", d.Integration, killIntegration)
				}
				if d.Outcome != forwarders.OutcomeRetry {
					told[d.Destination][d.MessageID] = true
				}
			}
			for destination, want := range map[string]int{"ga4": killRows, "posthog": killRows, "sentry": killRows / 3, "http": killRows} {
				if got := len(told[destination]); got != want {
					t.Errorf("%s: the deliveries tell how %d events ended, want %d", destination, got, want)
				}
			}
			ids := map[string]map[string]bool{}
			for _, e := range s.Events(sinks.PostHog) { // a repeat has the same id, name, time and visitor
				uuid := forwardertest.At(e.Payload, "uuid")
				if ids[uuid] == nil {
					ids[uuid] = map[string]bool{}
				}
				ids[uuid][e.ID] = true
			}
			for uuid, seen := range ids {
				if len(seen) != 1 {
					t.Errorf("event %s was sent as %d different events", uuid, len(seen))
				}
			}
			t.Logf("%d kills, duplicates: %v", kills, s.Counts().Duplicates)
		})
	}
}
