package lakehouse_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

func promote(all ...lakehouse.Promotion) func(*lakehouse.Config) {
	return func(c *lakehouse.Config) { c.Promote = all }
}

// withProperties is an event with these properties as JSON.
func withProperties(n int, properties string) headlessly.Record {
	e := laketest.Event("acme", n)
	e.Properties = properties
	return laketest.Record(e)
}

func TestATableOfAnOlderVersionGetsTheColumnsItLacks(t *testing.T) {
	dir, log := t.TempDir(), laketest.NewLog()
	lake := openLake(t, dir)
	if err := lake.DropColumns(t.Context(), lakehouse.TableEvents, "original_ts", "previous_id"); err != nil {
		t.Fatal(err)
	}
	newer := openLake(t, dir)
	w, stop := startWriter(t, newer, log)
	log.Append(laketest.Records("acme", 0, 5)...)
	flush(t, w)
	stop()
	tbl, err := newer.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := tbl.Schema().FindFieldByName("original_ts"); !ok || f.ID != 65 {
		t.Errorf("got column original_ts %+v, want id 65", f)
	}
	if got := column(t, scan(t, newer, lakehouse.TableEvents), "original_ts"); got.Len() != 5 || got.NullN() != 0 {
		t.Errorf("got %d values, %d of them null, want 5 and 0", got.Len(), got.NullN())
	}
}

// TestPropertiesBecomeColumnsWithoutARewrite writes rows, promotes properties,
// writes more, compacts, and takes the promotion back.
func TestPropertiesBecomeColumnsWithoutARewrite(t *testing.T) {
	dir, log := t.TempDir(), laketest.NewLog()
	lake := openLake(t, dir)
	w, stop := startWriter(t, lake, log)
	log.Append(withProperties(0, `{"total":5}`))
	flush(t, w)
	stop()
	before := filesOf(t, lake)

	more := promote(lakehouse.Promotion{Property: "total", Type: "double"}, lakehouse.Promotion{Property: "cart.itemCount", Type: "long"},
		lakehouse.Promotion{Property: "plan", Type: "string", Column: "plan_name"}, lakehouse.Promotion{Property: "gift", Type: "boolean"},
		lakehouse.Promotion{Property: "due", Type: "timestamp"})
	lake = openLake(t, dir, more)
	if got := filesOf(t, lake); !slices.Equal(got, before) {
		t.Errorf("files were rewritten: %v, were %v", got, before)
	}
	w, stop = startWriter(t, lake, log)
	log.Append(
		withProperties(1, `{"total":12.5,"cart":{"itemCount":3},"plan":"pro","gift":true,"due":"2025-10-09T12:00:00.5+02:00"}`),
		withProperties(2, `{"total":"twelve","cart":{"itemCount":3.5},"plan":7,"gift":"yes","due":"tomorrow"}`),
		withProperties(3, `{"total":null,"cart":[1],"plan":{"a":1}}`),
		withProperties(4, `{`), withProperties(5, ``), withProperties(6, `{"total":-0}`),
	)
	flush(t, w)
	want := map[string][]string{ // in log order
		"total":           {"-", "12.5", "-", "-", "-", "-", "-0"},
		"cart_item_count": {"-", "3", "-", "-", "-", "-", "-"},
		"plan_name":       {"-", "pro", "7", "-", "-", "-", "-"},
		"gift":            {"-", "true", "-", "-", "-", "-", "-"},
		"due":             {"-", "2025-10-09T10:00:00.5Z", "-", "-", "-", "-", "-"},
	}
	check := func(when string, lake *lakehouse.Lake) {
		t.Helper()
		rows := scan(t, lake, lakehouse.TableEvents)
		order := map[int64]int{}
		seqs := column(t, rows, "log_seq").(*array.Int64)
		sorted := slices.Sorted(slices.Values(seqs.Int64Values()))
		for i, s := range sorted {
			order[s] = i
		}
		for name, values := range want {
			col := column(t, rows, name)
			got := make([]string, col.Len())
			for i := range got {
				if got[order[seqs.Value(i)]] = "-"; !col.IsNull(i) {
					got[order[seqs.Value(i)]] = strings.Replace(col.ValueStr(i), " ", "T", 1)
				}
			}
			if !slices.Equal(got[:7], values) {
				t.Errorf("%s: column %s is %v, want %v", when, name, got, values)
			}
		}
		texts := column(t, rows, "properties")
		for i := range texts.Len() {
			if order[seqs.Value(i)] == 2 && !strings.Contains(texts.ValueStr(i), `"twelve"`) {
				t.Errorf("%s: a value of another type is not in the JSON: %s", when, texts.ValueStr(i))
			}
		}
	}
	check("after the writer", lake)
	wantConflicts := map[string]int64{"total": 1, "cart_item_count": 1, "plan_name": 1, "gift": 1, "due": 1}
	if got := lake.Conflicts(); !maps.Equal(got, wantConflicts) {
		t.Errorf("conflicts: got %v, want %v", got, wantConflicts)
	}
	stop()
	if _, err := lake.Compact(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	check("after compaction", lake)
	lake = openLake(t, dir) // no longer promoted: the column stays, new rows are null in it
	w, stop = startWriter(t, lake, log)
	log.Append(withProperties(7, `{"total":3}`))
	flush(t, w)
	stop()
	check("after the promotion was taken back", lake)
	wantSound(t, lake)
}

func TestAPromotionThatCannotBeIsRefused(t *testing.T) {
	dir := t.TempDir()
	openLake(t, dir, promote(lakehouse.Promotion{Property: "total", Type: "double"}))
	for name, c := range map[string]struct {
		p    lakehouse.Promotion
		want string
	}{
		"another type than before": {lakehouse.Promotion{Property: "total", Type: "string"}, "column total is a double there and not a string"},
		"a column that is taken":   {lakehouse.Promotion{Property: "url", Type: "string"}, `promote[0].column: "url" is a column of every lake`},
		"no such type":             {lakehouse.Promotion{Property: "x", Type: "int"}, `promote[0].type: "int" is not one of`},
		"no property":              {lakehouse.Promotion{Type: "long"}, "promote[0].property: is empty"},
		"no name for a column":     {lakehouse.Promotion{Property: "7", Type: "long"}, "promote[0].column"},
		"from nowhere":             {lakehouse.Promotion{Property: "x", From: "there", Type: "long"}, "promote[0].from"},
	} {
		cfg := lakehouse.Default(dir)
		cfg.Promote = []lakehouse.Promotion{c.p}
		_, err := lakehouse.Open(t.Context(), cfg)
		if err == nil || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestANumberBeyondADoubleIsAConflict: JSON knows 1e999 and a double does not.
func TestANumberBeyondADoubleIsAConflict(t *testing.T) {
	lake, log := openLake(t, t.TempDir(), promote(lakehouse.Promotion{Property: "total", Type: "double"})), laketest.NewLog()
	w, _ := startWriter(t, lake, log)
	log.Append(withProperties(1, `{"total":1e999}`), withProperties(2, `{"total":-1e400}`), withProperties(3, `{"total":1e308}`))
	flush(t, w)
	total := column(t, scan(t, lake, lakehouse.TableEvents), "total")
	if got := total.NullN(); got != 2 {
		t.Errorf("got %d nulls in %v, want 2", got, total)
	}
	if got := lake.Conflicts()["total"]; got != 2 {
		t.Errorf("got %d conflicts, want 2", got)
	}
}

// TestTwoProcessesPromoteAtOnce opens a lake several times at once: every one
// must come to the same ids.
func TestTwoProcessesPromoteAtOnce(t *testing.T) {
	dir := t.TempDir()
	openLake(t, dir)
	errs := make(chan error, 4)
	for i := range 4 {
		go func() {
			cfg := lakehouse.Default(dir)
			cfg.Promote = []lakehouse.Promotion{{Property: fmt.Sprintf("p%d", i%2), Type: "long"}, {Property: "shared", Type: "string"}}
			lake, err := lakehouse.Open(t.Context(), cfg)
			if err == nil {
				err = lake.Close()
			}
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	tbl, err := openLake(t, dir).Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range tbl.Schema().Fields() {
		if f.ID >= 10_000 {
			n++
		}
	}
	if n != 3 {
		t.Errorf("the table has %d promoted columns, want 3: %s", n, tbl.Schema())
	}
}
