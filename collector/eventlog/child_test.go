package eventlog_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/eventlog"
)

// The tests that kill a process, or fail its disk, run this binary again as a
// child that appends to a log and says on its standard output what was
// acknowledged.
const (
	childDir     = "EVENTLOG_CHILD_DIR"
	childWriters = "EVENTLOG_CHILD_WRITERS"
	childRun     = "EVENTLOG_CHILD_RUN"   // goes into the records
	childMode    = "EVENTLOG_CHILD_MODE"  // "", or a mutant
	childGate    = "EVENTLOG_CHILD_GATE"  // set: let the parent answer system calls
	childBytes   = "EVENTLOG_CHILD_BYTES" // of padding in a record
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(nodeDir) != "":
		os.Exit(runNode())
	case os.Getenv(childDir) != "":
		os.Exit(runChild())
	}
	os.Exit(m.Run())
}

// runChild appends until its standard input ends, then closes the log.
func runChild() int {
	if os.Getenv(childGate) != "" {
		if err := installGate(); err != nil {
			fmt.Println("gate", err)
			return 3
		}
	}
	cfg := eventlog.DefaultConfig(os.Getenv(childDir))
	cfg.Reserve = 0
	cfg.CompressOver = 0 // the padding would shrink to nothing
	switch os.Getenv(childMode) {
	case modeNoSync:
		cfg = eventlog.WithoutSync(cfg)
	case modeNoFolderSync:
		cfg = eventlog.WithoutFolderSync(cfg)
	}
	l, err := eventlog.Open(context.Background(), cfg)
	if err != nil {
		fmt.Println("open", err)
		return 2
	}
	var out sync.Mutex
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	say("open")
	ctx, cancel := context.WithCancel(context.Background())
	writers, _ := strconv.Atoi(os.Getenv(childWriters))
	padding, _ := strconv.Atoi(os.Getenv(childBytes))
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("%s/%d/%d", os.Getenv(childRun), w, i)
				data := name + " " + strings.Repeat("p", padding)
				if os.Getenv(childMode) == modeEarlyAck {
					say("ack %s", name)
				}
				at, err := l.Append(ctx, headlessly.Record{Kind: headlessly.RecordEvent, Data: []byte(data)})
				switch {
				case err == nil:
					if os.Getenv(childMode) != modeEarlyAck {
						say("ack %s", name)
					}
					if w == 0 && i%8 == 0 {
						keepBooks(ctx, l, name, at, say)
					}
				case errors.Is(err, headlessly.ErrLogFailed):
					say("failed")
					if w == 0 {
						say("ready %v, read %d", l.Ready() == nil, countRecords(l))
					}
					return
				case ctx.Err() == nil:
					say("error %v", err)
					return
				}
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	wg.Wait()
	if err := l.Close(context.Background()); err != nil {
		say("close %v", err)
		return 1
	}
	say("closed")
	return 0
}

// keepBooks commits a reader's cursor and parks an item, as projections do.
func keepBooks(ctx context.Context, l *eventlog.Log, name string, at int64, say func(string, ...any)) {
	seq, _ := headlessly.SplitLogSeq(at)
	if l.Commit(ctx, "reader", seq) == nil {
		say("cursor %d", seq)
	}
	item := headlessly.ParkedItem{Tenant: "acme", Destination: "ga4", Event: []byte(name)}
	if l.Park(ctx, item) == nil {
		say("parked %s", name)
	}
}

// countRecords reads all there is.
func countRecords(l *eventlog.Log) int {
	last, _ := l.Last(context.Background())
	n := 0
	for f, err := range l.Read(context.Background(), 1) {
		n += len(f.Records)
		if err != nil || f.Seq >= last {
			break
		}
	}
	return n
}

const (
	modeNoSync       = "no-sync"
	modeEarlyAck     = "early-ack"
	modeNoFolderSync = "no-folder-sync"
)

// child is a running child.
type child struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string // closed at its end
}

type childOptions struct {
	writers, bytes int
	run, mode      string
	gate           *os.File // the child's end of a socket pair
}

func startChild(t testing.TB, dir string, o childOptions) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.CommandContext(context.WithoutCancel(t.Context()), exe), lines: make(chan string, 1<<16)}
	c.cmd.Env = append(os.Environ(), childDir+"="+dir, childRun+"="+o.run, childMode+"="+o.mode,
		childWriters+"="+strconv.Itoa(o.writers), childBytes+"="+strconv.Itoa(o.bytes))
	c.cmd.Stderr = os.Stderr
	if o.gate != nil {
		c.cmd.Env = append(c.cmd.Env, childGate+"=1")
		c.cmd.ExtraFiles = []*os.File{o.gate}
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	return c
}

// next gives the child's next line, "" at its end.
func (c *child) next() string { return <-c.lines }

// awaitOpen waits until the child has opened its log.
func (c *child) awaitOpen() {
	c.t.Helper()
	if line := c.next(); line != "open" {
		c.t.Fatalf("child says %q, want that it has opened its log", line)
	}
}

// books is what children have said that is durable.
type books struct {
	acked, parked map[string]bool
	cursor        uint64
	others        []string // lines that say nothing of this
}

func newBooks() *books { return &books{acked: map[string]bool{}, parked: map[string]bool{}} }

func (b *books) note(line string) {
	what, rest, _ := strings.Cut(line, " ")
	switch what {
	case "ack":
		b.acked[rest] = true
	case "parked":
		b.parked[rest] = true
	case "cursor":
		seq, _ := strconv.ParseUint(rest, 10, 64)
		b.cursor = max(b.cursor, seq)
	default:
		b.others = append(b.others, line)
	}
}

// await reads the child's lines until n records are acknowledged.
func (c *child) await(b *books, n int) {
	c.t.Helper()
	for len(b.acked) < n {
		line := c.next()
		if line == "" {
			c.t.Fatalf("child ended after %d acks: %v", len(b.acked), b.others)
		}
		b.note(line)
	}
}

// kill ends the child at once and notes what it had said until then.
func (c *child) kill(b *books) {
	c.t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	c.drain(b)
}

// finish lets the child close its log.
func (c *child) finish(b *books) {
	c.t.Helper()
	_ = c.stdin.Close()
	c.drain(b)
}

// drain reads the child's lines to its end.
func (c *child) drain(b *books) {
	for line := range c.lines {
		b.note(line)
	}
	_ = c.cmd.Wait()
}

// check opens the log and gives how much of what was durable is missing.
// Records that nobody acknowledged may be there, whole, at most once.
func (b *books) check(t testing.TB, dir string) (missing int) {
	t.Helper()
	l := open(t, testConfig(dir))
	defer closeLog(t, l)
	return b.checkLog(t, l)
}

func (b *books) checkLog(t testing.TB, l *eventlog.Log) (missing int) {
	t.Helper()
	g := readAll(t, l, 1)
	for _, err := range g.faults {
		t.Logf("reader is told: %v", err)
		missing++
	}
	seen := map[string]int{}
	for at, data := range g.records {
		name, padding, ok := strings.Cut(data, " ")
		if !ok || strings.Trim(padding, "p") != "" {
			t.Errorf("record %d is not as it was appended: %.40q", at, data)
		}
		if seen[name]++; seen[name] > 1 {
			t.Errorf("record %s is there %d times", name, seen[name])
		}
	}
	for name := range b.acked {
		if seen[name] == 0 {
			missing++
		}
	}
	if missing > 0 {
		t.Logf("%d acknowledged records or frames are missing", missing)
	}
	parked := map[string]bool{}
	for it, err := range l.List(t.Context(), "", "") {
		if err != nil {
			t.Errorf("list: %v", err)
		}
		parked[string(it.Event)] = true
	}
	for name := range b.parked {
		if !parked[name] {
			t.Logf("parked item %s is missing", name)
			missing++
		}
	}
	if seq, err := l.Committed(t.Context(), "reader"); err != nil || seq < b.cursor {
		t.Logf("cursor: got %d, %v, want at least %d", seq, err, b.cursor)
		missing++
	}
	return missing
}
