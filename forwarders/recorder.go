package forwarders

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
)

const (
	// recordBatch is how many attempts one append holds, recordEvery how long
	// one waits for others where no frame is committed.
	recordBatch = 2000
	recordEvery = 200 * time.Millisecond
	// maxRecording bounds the attempts that wait for the log. Beyond it they
	// are counted and not recorded: their outcome matters more than the note of
	// it.
	maxRecording = 100_000
	// recordTries is how often a log that is busy is asked.
	recordTries = 5
)

// Recorder appends attempts to the log, many at a time and never on the way of
// a delivery. A log that is full or has failed loses the note, not the event:
// the cursor goes on, or the full log could never be trimmed.
type Recorder struct {
	log     headlessly.Appender
	logger  *slog.Logger
	rand    func() float64
	point   func(name string)
	lost    atomic.Int64
	flushes sync.Mutex // one append at a time, so that flush waits for those before

	mu   sync.Mutex
	list []Attempt
	full chan struct{}
}

func newRecorder(c *Config) *Recorder {
	r := NewRecorder(c.Deliveries, c.Logger, c.Rand)
	if c.Point != nil {
		r.point = c.Point
	}
	return r
}

// NewRecorder makes a recorder for log; nil has nothing recorded. The router has
// one of its own: another is for who delivers beside it.
func NewRecorder(log headlessly.Appender, logger *slog.Logger, rand func() float64) *Recorder {
	return &Recorder{log: log, logger: logger, rand: rand, point: func(string) {}, full: make(chan struct{}, 1)}
}

// Add takes attempts, which are the recorder's from then on. It does not block.
func (r *Recorder) Add(list []Attempt) {
	if r.log == nil || len(list) == 0 {
		return
	}
	r.mu.Lock()
	room := min(len(list), maxRecording-len(r.list))
	r.list = append(r.list, list[:room]...)
	n := len(r.list)
	r.mu.Unlock()
	r.lost.Add(int64(len(list) - room))
	if n >= recordBatch {
		select {
		case r.full <- struct{}{}:
		default:
		}
	}
}

// Run appends what was added now and then until stop is closed, and a last
// time.
func (r *Recorder) Run(ctx context.Context, stop <-chan struct{}) {
	if r.log == nil {
		return
	}
	tick := time.NewTicker(recordEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.full:
		case <-stop:
			r.flush(ctx)
			return
		}
		r.flush(ctx)
	}
}

// flush returns when every attempt added before is in the log or counted as
// lost.
func (r *Recorder) flush(ctx context.Context) {
	if r.log == nil {
		return
	}
	r.flushes.Lock()
	defer r.flushes.Unlock()
	r.mu.Lock()
	list := r.list
	r.list = nil
	r.mu.Unlock()
	for len(list) > 0 {
		n := min(len(list), recordBatch)
		r.append(ctx, list[:n])
		list = list[n:]
	}
}

func (r *Recorder) append(ctx context.Context, list []Attempt) {
	records := make([]headlessly.Record, 0, len(list))
	buf := make([]byte, 0, 256*len(list))
	for i := range list {
		d := list[i].delivery()
		from := len(buf)
		buf, _ = d.AppendBinary(buf) // never fails
		records = append(records, headlessly.Record{Kind: headlessly.RecordDelivery, Data: buf[from:len(buf):len(buf)]})
	}
	var err error
	r.point(PointBeforeRecord)
	for n := range recordTries {
		if _, err = r.log.Append(ctx, records...); err == nil {
			r.point(PointAfterRecord)
			return
		}
		if errors.Is(err, headlessly.ErrLogFull) || errors.Is(err, headlessly.ErrLogFailed) ||
			!sleep(ctx, backoff(100*time.Millisecond, 2*time.Second, n, r.rand)) {
			break
		}
	}
	r.lost.Add(int64(len(list)))
	r.logger.LogAttrs(ctx, slog.LevelError, "deliveries.unrecorded", slog.Int("attempts", len(list)), slog.Any("error", err))
}

// delivery is the attempt's row. Its id is made of what tells it from others,
// so that a row that was written twice is known as one.
func (a *Attempt) delivery() headlessly.Delivery {
	name := make([]byte, 0, 160)
	name = append(append(name, a.Tenant...), 0)
	name = append(append(name, a.Destination...), 0)
	name = append(append(name, a.MessageID...), 0)
	if a.Integration != "" {
		name = append(append(name, a.Integration...), 0)
	}
	name = strconv.AppendInt(append(strconv.AppendInt(name, int64(a.Try), 10), 0), a.At.UnixNano(), 10)
	return headlessly.Delivery{
		ID: uuid.NewSHA1(uuid.NameSpaceOID, name).String(), Tenant: a.Tenant, Destination: a.Destination, Integration: a.Integration,
		MessageID: a.MessageID, Event: a.Event, EventSeq: a.LogSeq, Attempt: int64(a.Try), At: a.At.UnixMicro(), Took: a.Took.Microseconds(),
		Outcome: a.Outcome, Status: int64(a.Status), Note: a.Note, Error: a.Error, Replay: a.Replay,
	}
}

// AttemptOf gives the attempt that a row of the deliveries table tells of.
func AttemptOf(d *headlessly.Delivery) Attempt {
	return Attempt{
		At: headlessly.Time(d.At), Took: time.Duration(d.Took) * time.Microsecond, Tenant: d.Tenant, Destination: d.Destination,
		Integration: d.Integration, MessageID: d.MessageID, Event: d.Event, LogSeq: d.EventSeq, Try: int(d.Attempt), Outcome: d.Outcome, Status: int(d.Status),
		Note: d.Note, Error: d.Error, Replay: d.Replay,
	}
}
