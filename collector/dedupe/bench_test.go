package dedupe_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/dedupe"
)

// BenchmarkID is what one event pays: a new id, claimed and landed, with the
// writes in the background counted in because they share the cores.
func BenchmarkID(b *testing.B) {
	for _, c := range []struct {
		name   string
		before int // ids in the index already
		batch  int
		repeat bool
	}{
		{"new/empty index", 0, 1, false},
		{"new/2M ids", 2_000_000, 1, false},
		{"new/2M ids, batches of 10", 2_000_000, 10, false},
		{"duplicate/2M ids", 2_000_000, 1, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := open(b)
			r := rand.New(rand.NewPCG(1, 2))
			var batch dedupe.Batch
			place := int64(0)
			send := func(ids []string) {
				f.Begin(&batch, "acme")
				for _, id := range ids {
					batch.Add(id)
				}
				place++
				batch.Done(headlessly.LogSeq(uint64(place), 0), nil)
			}
			one := make([]string, 1)
			var known []string
			for i := range c.before {
				one[0] = randomID(r)
				if i%1000 == 0 {
					known = append(known, one[0])
				}
				send(one)
			}
			f.flush(b)
			ids := make([]string, c.batch)
			b.ReportAllocs()
			for b.Loop() {
				for i := range ids {
					if ids[i] = randomID(r); c.repeat {
						ids[i] = known[r.IntN(len(known))]
					}
				}
				send(ids)
				batch.Release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.batch), "ns/id")
		})
	}
}

func randomID(r *rand.Rand) string {
	var u uuid.UUID
	binary.LittleEndian.PutUint64(u[:], r.Uint64())
	binary.LittleEndian.PutUint64(u[8:], r.Uint64())
	return u.String()
}

// BenchmarkCatchUp is the start after a kill: ids are read from the log.
func BenchmarkCatchUp(b *testing.B) {
	f := open(b)
	const frames, perFrame = 200, 1000
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]string, perFrame)
	for range frames {
		for i := range ids {
			ids[i] = randomID(r)
		}
		f.log.write(b, "acme", ids...)
	}
	for b.Loop() {
		f.cfg.Dir = b.TempDir()
		x, err := dedupe.Open(b.Context(), f.cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		_ = x.Close(b.Context())
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*frames*perFrame), "ns/id")
}
