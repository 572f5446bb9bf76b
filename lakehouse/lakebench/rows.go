//go:build cgo

package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// frameRows is how many rows share a frame, as in a gateway under load.
const frameRows = 500

// rows are the measured rows: a file of encoded log records, from which each
// writer reads frames as it would from the log.
type rows struct {
	tenants, count int
	path           string

	json int64 // of all rows as JSON lines, gzip
}

// make writes the file.
func (r *rows) make() error {
	f, err := os.Create(r.path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	lines := &counted{}
	packed := gzip.NewWriter(lines)
	random := rand.New(rand.NewPCG(11, 12)) //nolint:gosec // seeded on purpose
	var size [binary.MaxVarintLen64]byte
	for n := range r.count {
		e := laketest.Event(fmt.Sprintf("tenant-%d", n%r.tenants), n)
		lifelike(&e, random)
		data := laketest.Record(e).Data
		if _, err := w.Write(append(binary.AppendUvarint(size[:0], uint64(len(data))), data...)); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := json.NewEncoder(packed).Encode(known(e)); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	err = errors.Join(w.Flush(), f.Close(), packed.Close())
	r.json = lines.n
	return err
}

// lifelike gives an event ids and times as the browser script makes them: what
// they look like decides how well they compress.
func lifelike(e *headlessly.Event, r *rand.Rand) {
	late := r.Int64N(2_000_000) // µs from the event until it was sent, and on the way
	e.SentAt, e.ReceivedAt = e.Timestamp+late, e.Timestamp+late+20_000+r.Int64N(100_000)
	e.OriginalTS = e.Timestamp / 1000 * 1000
	e.MessageID = fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", e.OriginalTS/1000>>16, e.OriginalTS/1000&0xffff, r.Uint32()&0xfff, 0x8000|r.Uint32()&0x3fff, r.Uint64()&0xffffffffffff)
	e.AnonymousID = uuid.NewSHA1(uuid.NameSpaceOID, []byte(e.AnonymousID)).String()
	e.SessionID = uuid.NewSHA1(uuid.NameSpaceOID, []byte(e.SessionID)).String()
	e.ASN = 3000 + e.ASN%200
}

// known is an event as a client would write it down: what is not known is left
// out, and JSON stands as JSON.
func known(e headlessly.Event) map[string]any {
	out := map[string]any{}
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsZero() {
			continue
		}
		name := v.Type().Field(i).Name
		name = strings.ToLower(name[:1]) + name[1:]
		if text := f.String(); f.Kind() == reflect.String && (strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")) {
			out[name] = json.RawMessage(text)
			continue
		}
		out[name] = f.Interface()
	}
	return out
}

// counted is a writer that only counts.
type counted struct{ n int64 }

func (c *counted) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

var _ headlessly.LogReader = (*rows)(nil)

// Read implements headlessly.LogReader.
func (r *rows) Read(ctx context.Context, from uint64) iter.Seq2[headlessly.Frame, error] {
	return func(yield func(headlessly.Frame, error) bool) {
		f, err := os.Open(r.path)
		if err != nil {
			yield(headlessly.Frame{}, err)
			return
		}
		defer f.Close() //nolint:errcheck // it was read only
		in := bufio.NewReaderSize(f, 1<<20)
		for seq := uint64(1); ; seq++ {
			frame := headlessly.Frame{Seq: seq, Time: time.UnixMicro(laketest.Noon)}
			for len(frame.Records) < frameRows {
				size, err := binary.ReadUvarint(in)
				if errors.Is(err, io.EOF) {
					break
				}
				data := make([]byte, size)
				if err == nil {
					_, err = io.ReadFull(in, data)
				}
				if err != nil {
					yield(headlessly.Frame{}, err)
					return
				}
				frame.Records = append(frame.Records, headlessly.Record{Kind: headlessly.RecordEvent, Data: data})
			}
			if len(frame.Records) == 0 {
				break
			}
			if seq >= from && !yield(frame, nil) {
				return
			}
		}
		<-ctx.Done()
		yield(headlessly.Frame{}, ctx.Err())
	}
}

// Last implements headlessly.LogReader.
func (r *rows) Last(context.Context) (uint64, error) {
	return uint64((r.count + frameRows - 1) / frameRows), nil
}

// Committed implements headlessly.LogReader.
func (r *rows) Committed(context.Context, string) (uint64, error) { return 0, nil }

// Commit implements headlessly.LogReader.
func (r *rows) Commit(context.Context, string, uint64) error { return nil }
