package eventlog_test

import (
	"errors"
	"os"
	"testing"

	"github.com/headlessly/headlessly/collector/eventlog"
)

func TestSecondOpenOfAFolderNamesTheFirst(t *testing.T) {
	dir := t.TempDir()
	open(t, testConfig(dir))
	_, err := eventlog.Open(t.Context(), testConfig(dir))
	var locked *eventlog.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("got %v, want a LockedError", err)
	}
	host, _ := os.Hostname()
	if locked.PID != os.Getpid() || locked.Host != host || locked.Started.IsZero() || locked.Dir != dir {
		t.Errorf("got %+v, want this process", locked)
	}
}

func TestUnlockedFolderCanBeLockedAgain(t *testing.T) {
	dir := t.TempDir()
	unlock, err := eventlog.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventlog.LockDir(dir); err == nil {
		t.Fatal("locked twice")
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = eventlog.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}
