package eventlog

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
)

const (
	// probeAfter is how long an ack of the embedded server may take before it
	// is asked whether it dropped the frame: on a failed write or fsync it
	// answers nothing.
	probeAfter = time.Second
	// resendAfter is how long an ack of a cluster may take before the frame is
	// sent again: a leader that went away answers nothing. The message id makes
	// it idempotent.
	resendAfter = 2 * time.Second
	// triesPerServer is how often a frame is sent through one server of a
	// cluster before another is tried.
	triesPerServer = 2
	// resendPause is the wait after an answer that says "not now".
	resendPause = 100 * time.Millisecond
	// encoderWindow is how far back compression looks: a frame. The default of 4
	// MiB would cost each committer 8 MB that it never uses.
	encoderWindow = 1 << 20
)

// NATS and JetStream names and codes used on the wire.
const (
	hdrMsgID     = "Nats-Msg-Id"
	hdrExpected  = "Nats-Expected-Last-Sequence"
	hdrStatus    = "Status"
	noResponders = "503"

	codeMaxBytes  = 10077 // stream store failed: maximum bytes exceeded, among others
	codeResources = 10023
	codeTooLarge  = 10054
	codeStorage   = 10047
)

var (
	errDropped  = errors.New("the write or its fsync failed")
	errNoAnswer = errors.New("no answer")
)

// ackQueue receives the answers to frames.
type ackQueue struct {
	inbox string
	ch    chan *nats.Msg
	sub   *nats.Subscription
	run   string // random, makes message ids unique
	sent  uint64
}

// answer is a publish ack as the server writes it.
type answer struct {
	Seq   uint64 `json:"seq"`
	Error *struct {
		Code        int    `json:"code"`
		ErrCode     int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

// listen subscribes to the answers.
func (q *ackQueue) listen(nc *nats.Conn, run string) (err error) {
	q.inbox, q.run = nc.NewInbox()+".", run
	q.ch = make(chan *nats.Msg, 64)
	q.sub, err = nc.ChanSubscribe(q.inbox+"*", q.ch)
	return err
}

// committer sends frames. There are two: one takes whatever there is, so a
// frame gathers what comes during one fsync; the other takes full frames only,
// so that the next one is on its way while the disk works.
type committer struct {
	log  *Log
	full bool
	enc  encoder
	acks ackQueue
}

func (l *Log) newCommitter(full bool) (*committer, error) {
	c := &committer{log: l, full: full, enc: encoder{id: l.id, compressOver: l.cfg.CompressOver}}
	var err error
	c.enc.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(encoderWindow))
	if err != nil {
		return nil, fmt.Errorf("zstd writer: %w", err)
	}
	if err := c.acks.listen(l.pub, hex.EncodeToString(randomBytes(l.cfg.Rand, 8))); err != nil {
		return nil, fmt.Errorf("listen for acks: %w", err)
	}
	return c, nil
}

// run sends frames and releases their waiters after the ack, until the log is
// closed and none is left.
func (c *committer) run() {
	l := c.log
	for l.ready(c.full) {
		l.sending.Lock()
		f := l.take(c.full)
		if f == nil {
			l.sending.Unlock()
			continue
		}
		c.commit(f)
	}
}

// commit makes one frame durable and tells its waiters. It unlocks sending once
// the frame is on its way, so frames are stored in the order of their records.
func (c *committer) commit(f *frame) {
	l := c.log
	records := f.count()
	payload := c.enc.encode(f)
	size, start := len(payload), l.cfg.Clock()
	err := l.roomFor(size)
	var sent *nats.Msg
	if err == nil {
		sent, err = c.send(payload)
	}
	l.sending.Unlock()
	var seq uint64
	if err == nil {
		seq, err = c.await(sent)
	}
	if err == nil {
		err = l.syncNewBlocks()
	}
	switch {
	case err == nil:
		l.stats.committed(records, size, l.cfg.Clock().Sub(start))
		l.used.Add(int64(size))
		l.recent.add(seq, l.cfg.Clock(), f.data[headerSize:], records)
		l.sawLast(seq)
	case errors.Is(err, headlessly.ErrLogFailed):
		l.fail(err)
	}
	l.finish(f, seq, err)
	if err == nil && l.srv == nil {
		l.hint(seq)
	}
}

// fail stops all writing until a restart: what an fsync reported once it may
// not report again, so it is never retried.
func (l *Log) fail(err error) {
	l.cfg.Logger.Error("log failed; nothing is accepted until a restart", slog.Any("error", err))
	l.end(err)
	for f := l.take(false); f != nil; f = l.take(false) {
		l.finish(f, 0, err)
	}
}

// send puts a frame on its way.
func (c *committer) send(payload []byte) (*nats.Msg, error) {
	q := &c.acks
	q.sent++
	token := strconv.FormatUint(q.sent, 36)
	msg := &nats.Msg{Subject: c.log.names.subject, Reply: q.inbox + token, Data: payload}
	if c.log.srv == nil {
		msg.Header = nats.Header{hdrMsgID: []string{q.run + token}}
	}
	if err := c.log.pub.PublishMsg(msg); err != nil && c.log.srv != nil {
		return nil, fmt.Errorf("%w: %w", headlessly.ErrLogFailed, err)
	}
	return msg, nil // a cluster may come back: await sends again
}

// await waits for the ack of what was sent.
func (c *committer) await(sent *nats.Msg) (uint64, error) {
	if c.log.srv == nil {
		return c.awaitCluster(sent)
	}
	return c.awaitEmbedded(sent)
}

// awaitEmbedded waits until the ack comes or it is certain that none will.
func (c *committer) awaitEmbedded(sent *nats.Msg) (uint64, error) {
	l := c.log
	probe := impossible(sent.Subject)
	probe.Reply = sent.Reply + "p"
	timer := time.NewTimer(probeAfter)
	defer timer.Stop()
	for waited := time.Duration(0); waited < l.cfg.AckTimeout; {
		select {
		case m := <-c.acks.ch:
			switch m.Subject {
			case sent.Reply:
				return judge(m)
			case probe.Reply:
				// The stream takes its messages in order: it is past ours.
				return 0, fmt.Errorf("%w: %w", headlessly.ErrLogFailed, errDropped)
			}
		case <-l.stopped.Done():
			return 0, ErrClosed
		case <-timer.C:
			waited += probeAfter
			timer.Reset(probeAfter)
			if err := l.pub.PublishMsg(probe); err != nil {
				return 0, fmt.Errorf("%w: %w", headlessly.ErrLogFailed, err)
			}
		}
	}
	return 0, fmt.Errorf("%w: %w from the store in %s", headlessly.ErrLogFailed, errNoAnswer, l.cfg.AckTimeout)
}

// judge reads the embedded server's answer.
func judge(m *nats.Msg) (uint64, error) {
	a, err := readAnswer(m)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", headlessly.ErrLogFailed, err)
	}
	if a.Error != nil {
		return 0, fmt.Errorf("%w: %w", headlessly.ErrLogFailed, refused(a))
	}
	return a.Seq, nil
}

// awaitCluster sends again until some leader has acknowledged.
func (c *committer) awaitCluster(sent *nats.Msg) (uint64, error) {
	l := c.log
	ctx, cancel := context.WithTimeout(l.stopped, l.cfg.AckTimeout)
	defer cancel()
	last := errNoAnswer
	for try := 1; ; try++ {
		seq, again, err := c.awaitOnce(ctx, sent.Reply)
		if !again {
			l.setAway(nil)
			return seq, err
		}
		if err != nil {
			last = err
			pause(ctx, resendPause)
		}
		if ctx.Err() != nil {
			break
		}
		if try%triesPerServer == 0 {
			l.writes.elsewhere(l.pub)
		}
		if err := l.pub.PublishMsg(sent); err != nil {
			last = err
			pause(ctx, resendPause)
		}
	}
	err := fmt.Errorf("%w: the cluster did not take a frame in %s: %w", headlessly.ErrLogBusy, l.cfg.AckTimeout, last)
	l.setAway(err)
	return 0, err
}

// awaitOnce waits for one answer; again says that the frame should be sent once
// more.
func (c *committer) awaitOnce(ctx context.Context, reply string) (seq uint64, again bool, err error) {
	timer := time.NewTimer(resendAfter)
	defer timer.Stop()
	for {
		select {
		case m := <-c.acks.ch:
			if m.Subject != reply {
				continue // an answer to a frame given up before
			}
			a, err := readAnswer(m)
			if err != nil {
				return 0, true, err
			}
			if a.Error == nil {
				return a.Seq, false, nil
			}
			if err := refused(a); a.Error.ErrCode == codeTooLarge || errors.Is(err, headlessly.ErrLogFull) {
				return 0, false, err
			}
			return 0, true, refused(a)
		case <-timer.C:
			return 0, true, nil
		case <-ctx.Done():
			return 0, true, nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func readAnswer(m *nats.Msg) (answer, error) {
	var a answer
	if len(m.Data) == 0 && m.Header.Get(hdrStatus) == noResponders {
		return a, errors.New("no server holds the stream")
	}
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return a, fmt.Errorf("read ack: %w", err)
	}
	if a.Error == nil && a.Seq == 0 {
		return a, errors.New("read ack: it names no sequence")
	}
	return a, nil
}

// refused turns a refusal by the server into an error.
func refused(a answer) error {
	err := fmt.Errorf("store refused: %s (%d)", a.Error.Description, a.Error.ErrCode)
	switch a.Error.ErrCode {
	case codeMaxBytes, codeResources, codeStorage:
		return fmt.Errorf("%w: %w", headlessly.ErrLogFull, err)
	}
	return err
}

// sawLast notes that seq is durable and wakes the readers.
func (l *Log) sawLast(seq uint64) {
	for {
		old := l.last.Load()
		if seq <= old {
			return
		}
		if l.last.CompareAndSwap(old, seq) {
			l.news.wake()
			return
		}
	}
}

// drain refuses new records and waits until the accepted ones are durable.
func (l *Log) drain(ctx context.Context) error {
	l.end(nil)
	select {
	case <-l.drained:
	case <-ctx.Done():
		return fmt.Errorf("close log: %w", ctx.Err())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}
