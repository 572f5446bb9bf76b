package lakehouse_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// TestColumnsAreEncodedAsMeasured pins FILES.md's table, and with it that no
// column uses an encoding that other engines can't read.
func TestColumnsAreEncodedAsMeasured(t *testing.T) {
	log := laketest.NewLog()
	log.Append(laketest.Records("acme", 0, 2000)...)
	lake := openLake(t, t.TempDir())
	w, _ := startWriter(t, lake, log)
	flush(t, w)
	tbl, err := lake.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := tbl.Scan().PlanFiles(t.Context())
	if err != nil || len(tasks) != 1 {
		t.Fatalf("the rows are in %d files, want 1 (%v)", len(tasks), err)
	}
	f, err := file.OpenParquetFile(strings.TrimPrefix(tasks[0].File.FilePath(), "file://"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e := parquet.Encodings
	readable := []parquet.Encoding{e.Plain, e.RLE, e.RLEDict, e.PlainDict, e.DeltaBinaryPacked}
	want := map[string]parquet.Encoding{
		"message_id": e.Plain, "properties": e.Plain, "context": e.Plain, "vital_value": e.Plain,
		"tenant": e.RLEDict, "event": e.RLEDict, "anonymous_id": e.RLEDict, "session_id": e.RLEDict, "url": e.RLEDict, "error_stack": e.RLEDict, "asn": e.RLEDict, "revenue": e.RLEDict,
		"timestamp": e.DeltaBinaryPacked, "sent_at": e.DeltaBinaryPacked, "received_at": e.DeltaBinaryPacked, "original_ts": e.DeltaBinaryPacked, "log_seq": e.DeltaBinaryPacked,
	}
	group := f.MetaData().RowGroup(0)
	for i := range group.NumColumns() {
		c, err := group.ColumnChunk(i)
		if err != nil {
			t.Fatal(err)
		}
		name := f.MetaData().Schema.Column(i).Name()
		used := c.Encodings()
		for _, one := range used {
			if !slices.Contains(readable, one) {
				t.Errorf("%s is encoded as %s", name, one)
			}
		}
		if one, ok := want[name]; ok && (!slices.Contains(used, one) || c.HasDictionaryPage() != (one == e.RLEDict)) {
			t.Errorf("%s is encoded as %v, want %s and a dictionary only for that", name, used, one)
		}
		if c.Compression() != compress.Codecs.Zstd {
			t.Errorf("%s is compressed with %s, want zstd", name, c.Compression())
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("the file lacks columns %v", want)
	}
}

func TestBesideABatchInCommitAnotherFillsToTheHalf(t *testing.T) {
	const limit, frame = 20_000, 1_500 // a frame of one record is smaller
	log := laketest.NewLog()
	lake := openLake(t, t.TempDir(), func(c *lakehouse.Config) { c.MaxBatchBytes = limit })
	reached, release := make(chan struct{}, 100), make(chan struct{})
	w, stop := startWriter(t, lake, log, lakehouse.WithSteps(func(step string) {
		if step == "write" {
			reached <- struct{}{}
			<-release
		}
	}))
	for n := range 100 {
		log.Append(laketest.Records("acme", n, n+1)...)
	}
	<-reached
	for w.Stats().OpenBytes < limit+limit/2 { // one in commit, one that fills
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // what would go on filling does so
	if b := w.Stats().OpenBytes; b > limit+limit/2+2*frame {
		t.Errorf("%d bytes are held while a batch is committed, want at most one and a half times %d and two frames", b, limit)
	}
	close(release)
	flush(t, w)
	stop()
	wantOnce(t, countIDs(t, lake), "acme", 100)
}
