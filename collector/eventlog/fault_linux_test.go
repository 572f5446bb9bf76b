package eventlog_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// platter is what a disk holds for certain: the bytes of a file when its last
// fsync began, under the names its folder had when that was last synced. The
// page cache is not on it, so a log rebuilt from it has been through a power
// cut. Only block files are judged so strictly; the server's few small files
// are written with O_SYNC, which the gate does not see, so they count as
// written once their folder is synced.
type platter struct {
	mu     sync.Mutex
	root   string
	files  map[uint64][]byte            // by inode
	dirs   map[string]map[string]uint64 // folder: its entries' inodes
	frozen bool
}

func newPlatter(root string) *platter {
	return &platter{root: root, files: map[uint64][]byte{}, dirs: map[string]map[string]uint64{}}
}

// synced notes the fsync of path, unless the power is off.
func (p *platter) synced(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen || !strings.HasPrefix(path, p.root) {
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		return // removed meanwhile
	}
	if !info.IsDir() {
		if b, err := os.ReadFile(path); err == nil {
			p.files[inode(info)] = b
		}
		return
	}
	entries, _ := os.ReadDir(path)
	names := map[string]uint64{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		names[e.Name()] = inode(info)
		if !e.IsDir() && filepath.Ext(e.Name()) != ".blk" {
			if b, err := os.ReadFile(filepath.Join(path, e.Name())); err == nil {
				p.files[inode(info)] = b
			}
		}
	}
	p.dirs[path] = names
}

func inode(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// cut turns the power off.
func (p *platter) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = true
}

// restore writes what the disk held into a new folder.
func (p *platter) restore(t testing.TB) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	to := filepath.Join(t.TempDir(), "restored")
	p.restoreDir(t, p.root, to)
	return to
}

func (p *platter) restoreDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, ino := range p.dirs[from] {
		path := filepath.Join(from, name)
		info, err := os.Lstat(path)
		switch {
		case p.dirs[path] != nil, err == nil && info.IsDir():
			p.restoreDir(t, path, filepath.Join(to, name))
		default:
			if err := os.WriteFile(filepath.Join(to, name), p.files[ino], 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// powerCut runs a child, cuts the power when at says so for the nth time, and
// gives what is missing after.
func powerCut(t *testing.T, o childOptions, n int, at func(call) bool) (missing int, b *books) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	disk := newPlatter(dir)
	var seen atomic.Int64
	off := make(chan struct{})
	c, _ := startGated(t, dir, o, func(c call) gateAnswer {
		select {
		case <-off:
			return gateAnswer{hold: true}
		default:
		}
		if at(c) && seen.Add(1) == int64(n) {
			disk.cut()
			close(off)
			return gateAnswer{hold: true}
		}
		if c.sync() {
			disk.synced(c.path)
		}
		return gateAnswer{}
	})
	b = newBooks()
	go func() {
		<-off
		// Room for an ack that should not leave.
		time.Sleep(30 * time.Millisecond)
		_ = c.cmd.Process.Kill()
	}()
	c.drain(b)
	select {
	case <-off:
	default:
		t.Fatalf("child ended before the power cut: %q", b.others)
	}
	return b.check(t, disk.restore(t)), b
}

func TestPowerCutLosesNothingThatWasAcknowledged(t *testing.T) {
	for _, c := range []struct {
		name string
		at   func(call) bool
	}{
		{"before a frame is written", func(c call) bool { return c.write() && c.block("events") }},
		{"before a frame is synced", func(c call) bool { return c.sync() && c.block("events") }},
		{"before a cursor is synced", func(c call) bool { return c.sync() && c.block("cursors") }},
		{"before parked items are synced", func(c call) bool { return c.sync() && c.block("parked") }},
		{"before a folder is synced", func(c call) bool { return c.sync() && strings.HasSuffix(c.path, "/msgs") }},
	} {
		for _, n := range []int{1, 2, 7, 40} {
			if strings.Contains(c.name, "folder") && n > 2 {
				continue
			}
			t.Run(fmt.Sprintf("%s, time %d", c.name, n), func(t *testing.T) {
				missing, b := powerCut(t, childOptions{writers: 8, bytes: 500, run: "1"}, n, c.at)
				if missing > 0 {
					t.Errorf("%d of %d acknowledged records, %d parked items and the cursor are missing", missing, len(b.acked), len(b.parked))
				}
			})
		}
	}
}

// TestPowerCutLosesNoBlockFile writes so much that the store begins new files.
func TestPowerCutLosesNoBlockFile(t *testing.T) {
	missing, b := powerCut(t, bulk(""), 150, frameWritten)
	if missing > 0 {
		t.Errorf("%d of %d acknowledged records, %d parked items and the cursor are missing", missing, len(b.acked), len(b.parked))
	}
}

// bulk fills a block file of 8 MiB every ten frames or so.
func bulk(mode string) childOptions {
	return childOptions{writers: 8, bytes: 150_000, run: "1", mode: mode}
}

func frameWritten(c call) bool { return c.write() && c.block("events") }

// TestPowerCutFindsALogThatAcksTooEarly shows that the tests above can fail: it
// puts mutants through them.
func TestPowerCutFindsALogThatAcksTooEarly(t *testing.T) {
	for _, mode := range []string{modeNoSync, modeEarlyAck, modeNoFolderSync} {
		t.Run(mode, func(t *testing.T) {
			missing, b := powerCut(t, bulk(mode), 100, frameWritten)
			if missing == 0 || len(b.acked) == 0 {
				t.Errorf("nothing of %d acknowledged records is missing from a log that does not wait for its disk", len(b.acked))
			}
		})
	}
}

func TestFailedWriteOrSyncStopsWritingButNotReading(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    func(call) bool
		errno syscall.Errno
	}{
		{"fsync fails", func(c call) bool { return c.sync() && c.block("events") }, syscall.EIO},
		{"write fails", func(c call) bool { return c.write() && c.block("events") }, syscall.EIO},
		{"disk full in spite of the reserve", func(c call) bool { return c.write() && c.block("events") }, syscall.ENOSPC},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "log")
			var seen, after atomic.Int64
			child, _ := startGated(t, dir, childOptions{writers: 4, bytes: 500, run: "1"}, func(k call) gateAnswer {
				if !c.at(k) {
					return gateAnswer{}
				}
				if n := seen.Add(1); n == 20 {
					return gateAnswer{errno: c.errno}
				} else if n > 20 {
					after.Add(1)
				}
				return gateAnswer{}
			})
			b := newBooks()
			child.awaitOpen()
			// Each writer is told once.
			for failed := 0; failed < 4; {
				line := child.next()
				if line == "" {
					t.Fatalf("child ended: %q", b.others)
				}
				if line == "failed" {
					failed++
				}
				b.note(line)
			}
			child.finish(b)
			if after.Load() > 0 {
				t.Errorf("the store was written to %d more times after it failed", after.Load())
			}
			if !slices.ContainsFunc(b.others, func(s string) bool { return strings.HasPrefix(s, "ready false, read ") && s != "ready false, read 0" }) {
				t.Errorf("child says %q, want that it is not ready and reads on", b.others)
			}
			// The next start accepts again.
			if missing := b.check(t, dir); missing > 0 {
				t.Errorf("%d of %d acknowledged records are missing", missing, len(b.acked))
			}
			l := open(t, testConfig(dir))
			mustAppend(t, l, event("again pp"))
		})
	}
}
