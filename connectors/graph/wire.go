package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Headers and error codes of JetStream's publish protocol.
const (
	hdrExpect   = "Nats-Expected-Last-Subject-Sequence"
	hdrBatch    = "Nats-Batch-Id"
	hdrBatchSeq = "Nats-Batch-Sequence"
	hdrCommit   = "Nats-Batch-Commit"
	hdrStatus   = "Status"

	codeWrongLast         = 10071
	codeWrongLastConstant = 10164
	codeIncomplete        = 10176
	codeInflight          = 10210
	codeNoResources       = 10023
	codeStoreFailed       = 10077
)

// wireError is an answer of the log that is no success.
type wireError struct {
	code      int
	text      string
	permanent bool // sending it again does not help
}

func (e *wireError) Error() string { return fmt.Sprintf("log answers %d: %s", e.code, e.text) }

var errNoAnswer = errors.New("log does not answer")

// answerWait is how long one publish may take before it is looked for.
const answerWait = 5 * time.Second

// wire publishes messages with their expected sequences and reads the answers.
// It is used by one goroutine at a time.
type wire struct {
	nc     *nats.Conn
	stream jetstream.Stream
	inbox  string
	sub    *nats.Subscription
	token  uint64
	batch  *nuid.NUID
}

func newWire(nc *nats.Conn, stream jetstream.Stream) (*wire, error) {
	w := &wire{nc: nc, stream: stream, inbox: nc.NewInbox() + ".", batch: nuid.New()}
	var err error
	if w.sub, err = nc.SubscribeSync(w.inbox + "*"); err != nil {
		return nil, fmt.Errorf("listen for the log's answers: %w", err)
	}
	return w, nil
}

func (w *wire) close() { _ = w.sub.Unsubscribe() }

// send stores messages, all or none, and gives the last one's sequence.
func (w *wire) send(msgs []message) (uint64, error) {
	reply, err := w.publish(msgs)
	if err != nil {
		return 0, err
	}
	waiting := map[string]int{reply: 0}
	out := make([]outcome, 1)
	w.collect(waiting, out)
	return out[0].seq, out[0].err
}

// sendEach stores messages each for itself, sent at once.
func (w *wire) sendEach(msgs []message) []outcome {
	out := make([]outcome, len(msgs))
	waiting := map[string]int{}
	for i := range msgs {
		reply, err := w.publish(msgs[i : i+1])
		if err != nil {
			out[i].err = err
			continue
		}
		waiting[reply] = i
	}
	w.collect(waiting, out)
	return out
}

// publish sends a message, or an atomic batch, and gives where its answer goes.
func (w *wire) publish(msgs []message) (reply string, err error) {
	w.token++
	reply = w.inbox + strconv.FormatUint(w.token, 36)
	id := ""
	if len(msgs) > 1 {
		id = w.batch.Next()
	}
	for i := range msgs {
		m := &nats.Msg{Subject: msgs[i].subject, Data: msgs[i].data, Header: nats.Header{hdrExpect: {strconv.FormatUint(msgs[i].expect, 10)}}}
		if id != "" {
			m.Header[hdrBatch], m.Header[hdrBatchSeq] = []string{id}, []string{strconv.Itoa(i + 1)}
		}
		if i == len(msgs)-1 {
			m.Reply = reply
			if id != "" {
				m.Header[hdrCommit] = []string{"1"}
			}
		}
		if err := w.nc.PublishMsg(m); err != nil {
			return "", &wireError{text: err.Error(), permanent: errors.Is(err, nats.ErrMaxPayload)}
		}
	}
	return reply, nil
}

// collect reads answers until none is missing. Those of earlier messages that
// were given up are passed over.
func (w *wire) collect(waiting map[string]int, out []outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), answerWait)
	defer cancel()
	for len(waiting) > 0 {
		m, err := w.sub.NextMsgWithContext(ctx)
		if err != nil {
			for _, i := range waiting {
				out[i].err = fmt.Errorf("%w: %w", errNoAnswer, err)
			}
			return
		}
		if i, ok := waiting[m.Subject]; ok {
			delete(waiting, m.Subject)
			out[i].seq, out[i].err = parseAnswer(m)
		}
	}
}

func parseAnswer(m *nats.Msg) (uint64, error) {
	if s := m.Header.Get(hdrStatus); s != "" {
		return 0, fmt.Errorf("%w: status %s", errNoAnswer, s) // 503: no server has the stream now
	}
	var a struct {
		Seq   uint64 `json:"seq"`
		Error *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return 0, fmt.Errorf("answer of the log: %w", err)
	}
	if a.Error == nil {
		return a.Seq, nil
	}
	switch a.Error.Code {
	case codeWrongLast, codeWrongLastConstant:
		return 0, fmt.Errorf("%w (%s)", errConflict, a.Error.Description)
	case codeIncomplete, codeInflight, codeNoResources, codeStoreFailed:
		return 0, &wireError{code: a.Error.Code, text: a.Error.Description, permanent: a.Error.Code == codeStoreFailed && strings.Contains(a.Error.Description, "too large")}
	}
	return 0, &wireError{code: a.Error.Code, text: a.Error.Description, permanent: true}
}

// landed says whether messages were stored although no answer said so: what
// follows the expected sequence on a subject is then ours. They are stored all
// or none, so one tells.
func (w *wire) landed(ctx context.Context, msgs []message) (uint64, bool) {
	last := msgs[len(msgs)-1]
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	got, err := w.stream.GetMsg(ctx, last.expect+1, jetstream.WithGetMsgSubject(last.subject))
	if err != nil || !bytes.Equal(got.Data, last.data) {
		return 0, false
	}
	return got.Sequence, true
}
