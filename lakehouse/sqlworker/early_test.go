package sqlworker_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/lakehouse"
)

// costly is a package of iceberg-go whose initialization takes longer than most
// queries.
const costly = "init github.com/apache/iceberg-go/table/substrait "

func TestAWorkerDoesNotInitializeWhatItDoesNotUse(t *testing.T) {
	started := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
		cmd.Env = []string{"GODEBUG=inittrace=1"}
		cmd.Stdin = strings.NewReader(`{"sql": "SELECT"}`)
		var trace, out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &trace
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, trace.String())
		}
		return out.String() + trace.String()
	}
	if got := started("-test.run=^$"); !strings.Contains(got, costly) {
		t.Errorf("this binary does not initialize that package at all, and the worker needs no care:\n%s", got)
	}
	got := started(lakehouse.WorkerArgument)
	if strings.Contains(got, costly) {
		t.Errorf("the worker waits for %s:\n%s", costly, got)
	}
	if !strings.Contains(got, `"code":"invalid_sql"`) {
		t.Errorf("the worker answered\n%s", got)
	}
}
