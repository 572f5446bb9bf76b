//go:build unix

package headlessly_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/headlessly/headlessly"
)

// TestWhatCannotBeSyncedIsNotRenamed writes into a pipe, which takes every byte
// and cannot be synced.
func TestWhatCannotBeSyncedIsNotRenamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := headlessly.WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path+".new", 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	pipe, err := os.OpenFile(path+".new", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if err := headlessly.WriteFile(path, []byte("new")); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("got %v, want the sync's error", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("got %q, %v, want the old file", got, err)
	}
}
