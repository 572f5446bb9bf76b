package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/forwarders/sinks"
)

// importing runs the import command in a folder of its own.
func importing(t testing.TB, g *gateway, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"import", "--data", g.dir, "--state", filepath.Join(dir, "state")}, args...)...)
	cmd.Dir = dir
	return cmd
}

// TestAnImportKilledInTheMiddleStoresEachRowOnce kills the import, and then the
// gateway below it, and wants as many rows in the table as there are in the
// file.
func TestAnImportKilledInTheMiddleStoresEachRowOnce(t *testing.T) {
	const rows, badEvery = 30_000, 3_000
	standins, host := providers(t)
	g := newGateway(t, analytics("shop", host))
	dir := t.TempDir()
	file := filepath.Join(dir, "history.ndjson.gz")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i := range rows {
		if i%badEvery == 5 {
			fmt.Fprintf(z, `{"type":"track","userId":"u%d"}`+"\n", i)
			continue
		}
		fmt.Fprintf(z, `{"type":"track","event":"Old","userId":"u%d","timestamp":"2024-02-23T22:28:55.%03dZ","sentAt":"2024-02-23T22:28:56Z","messageId":"old-%d"}`+"\n", i, i%1000, i)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	settled := func() (n int64) {
		for _, path := range must(filepath.Glob(filepath.Join(dir, "state", "*.json"))) {
			var s struct{ Rows int64 }
			if raw, err := os.ReadFile(path); err == nil && json.Unmarshal(raw, &s) == nil {
				n = s.Rows
			}
		}
		return n
	}
	args := []string{"--from", "segment", "--tenant", "shop", file}
	cmd := importing(t, g, dir, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	soon(t, "something is settled", func() bool { return settled() > 0 })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	before := settled()
	if before >= rows {
		t.Fatalf("the import was done before it was killed: %d rows", before)
	}
	g.kill(t) // and now the gateway, in the middle of the second run
	g.start(t)
	cmd = importing(t, g, dir, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	soon(t, "more is settled", func() bool { return settled() > before })
	g.kill(t)
	g.start(t)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	const bad = rows / badEvery
	if got := out.String(); !strings.Contains(got, fmt.Sprintf("%d rows:", rows)) || !strings.Contains(got, fmt.Sprintf("%d bad", bad)) || !strings.Contains(got, "went on after row") {
		t.Errorf("got %s", got)
	}
	var n []struct{ Rows, IDs, Right int }
	g.sql(t, &n, `select count(*) as "Rows", count(distinct message_id) as "IDs", count(*) filter (timestamp < '2024-02-24') as "Right" from events`, "--tenant", "shop")
	if want := rows - bad; n[0].Rows != want || n[0].IDs != want || n[0].Right != want {
		t.Errorf("got %+v, want %d rows, each once, at their own time", n[0], want)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "history.ndjson.gz.rejected.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(kept), `"field":"event"`); got != bad || !strings.Contains(string(kept), fmt.Sprintf(`{"line":%d,`, badEvery+6)) {
		t.Errorf("%d bad rows were kept, want %d:\n%s", got, bad, kept)
	}
	if again, err := importing(t, g, dir, append(args, "--again")...).CombinedOutput(); err != nil || !strings.Contains(string(again), fmt.Sprintf(" 0 taken, %d known already, %d bad", rows-bad, bad)) {
		t.Errorf("anew: %v %s", err, again)
	}
	if sent := standins.Events(sinks.PostHog); len(sent) != 0 {
		t.Errorf("%d events went to a destination, want none without --forward", len(sent))
	}
}

// soon waits for what is over soon after it has come about.
func soon(t testing.TB, what string, done func() bool) {
	t.Helper()
	for start := time.Now(); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestTheTablesOwnExportIsReadAgain writes events to Parquet and CSV and imports
// them into another tenant.
func TestTheTablesOwnExportIsReadAgain(t *testing.T) {
	g := newGateway(t, "tenants:\n  one: {}\n  two: {}\n  three: {}\n")
	for i := range 5 {
		body := fmt.Sprintf(`{"events":[{"event":"Order Completed","userId":"u%d","url":"https://shop.example/cart?utm_source=hn","properties":{"items":[1,2],"revenue":%d.5}},{"type":"error","userId":"u%d","exception":{"type":"TypeError","value":"x","stacktrace":[{"filename":"a.js","function":"f"}]}}]}`, i, i, i)
		if status, answer := g.post(t, "/e?t=one", body); status != 202 {
			t.Fatalf("got %d %s", status, answer)
		}
	}
	const columns = `message_id, type, event, user_id, timestamp, url, path, utm_source, error_type, error_message, fingerprint, revenue, properties`
	dir := t.TempDir()
	var want []map[string]any
	g.sql(t, &want, "select "+columns+" from events order by message_id", "--tenant", "one")
	for format, tenant := range map[string]string{"parquet": "two", "csv": "three"} {
		file := filepath.Join(dir, "events."+format)
		if err := os.WriteFile(file, []byte(g.run(t, "sql", "--tenant", "one", "--format", format, "select * from events")), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := importing(t, g, dir, "--tenant", tenant, file).CombinedOutput(); err != nil || !strings.Contains(string(out), "10 rows: 10 taken, 0 known already, 0 bad") {
			t.Fatalf("%s: %v %s", format, err, out)
		}
		var got []map[string]any
		g.sql(t, &got, "select "+columns+" from events order by message_id", "--tenant", tenant)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v\nwant %v", format, got, want)
		}
	}
}
