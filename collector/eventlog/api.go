package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// apiTimeout bounds one question to the embedded server, and those to a cluster
// that are not asked again.
const apiTimeout = 5 * time.Second

// Codes of the JetStream API.
const (
	codeNoPeers   = 10005 // no suitable peers for placement: not all have been heard of
	codeNoCluster = 10008 // temporarily unavailable
	codeNotLeader = 10009 // cluster can not handle the request
	codeNotFound  = 10037
	codeInProcess = 10158 // duplicate message id is in process
)

// lastMsg gives a subject's newest message as the leader has it, nil where
// there is none.
func (l *Log) lastMsg(ctx context.Context, stream, subject string) (*stored, error) {
	return l.askMsg(ctx, stream, map[string]any{"last_by_subj": subject})
}

// getMsg gives one message as the leader has it, nil where there is none. A
// direct get may be answered by a replica that is late.
func (l *Log) getMsg(ctx context.Context, stream string, seq uint64) (*stored, error) {
	return l.askMsg(ctx, stream, map[string]any{"seq": seq})
}

func (l *Log) askMsg(ctx context.Context, stream string, what map[string]any) (*stored, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return nil, fmt.Errorf("ask for message: %w", err)
	}
	m, err := l.request(ctx, l.sub, &l.reads, &nats.Msg{Subject: "$JS.API.STREAM.MSG.GET." + stream, Data: body})
	if err != nil {
		return nil, err
	}
	var reply struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &reply); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	switch e := reply.Error; {
	case e != nil && e.ErrorCode == codeNotFound:
		return nil, nil
	case e != nil:
		return nil, e
	}
	g := reply.Message
	return &stored{seq: g.Seq, time: g.Time, subject: g.Subject, data: g.Data}, nil
}

// state asks the events stream for its state.
func (l *Log) state(ctx context.Context) (jetstream.StreamState, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	s, err := l.read.Stream(ctx, l.names.events)
	if err != nil {
		return jetstream.StreamState{}, err
	}
	return s.CachedInfo().State, nil
}

// subjects gives a stream's state and the number of messages of each subject
// that matches filter.
func (l *Log) subjects(ctx context.Context, stream, filter string) (jetstream.StreamState, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	s, err := l.read.Stream(ctx, stream)
	if err != nil {
		return jetstream.StreamState{}, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return jetstream.StreamState{}, err
	}
	return info.State, nil
}

// purge removes messages of a stream: of one subject, or up to a sequence.
func (l *Log) purge(ctx context.Context, stream string, what jetstream.StreamPurgeOpt) error {
	ctx, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	s, err := l.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	return s.Purge(ctx, what)
}

// purgeTimeout is longer: to trim, the server reads the files it removes.
const purgeTimeout = time.Minute

// deleteMsg removes one message; one that is gone is no error.
func (l *Log) deleteMsg(ctx context.Context, stream string, seq uint64) error {
	bounded, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	s, err := l.js.Stream(bounded, stream)
	if err != nil {
		return err
	}
	if err := s.DeleteMsg(bounded, seq); err != nil {
		if m, getErr := l.getMsg(ctx, stream, seq); getErr == nil && m == nil {
			return nil
		}
		return err
	}
	return nil
}

// put1 publishes one message to a stream and waits until it is durable.
func (l *Log) put1(ctx context.Context, stream, subject string, data []byte) error {
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{hdrStream: []string{stream}}}
	if l.srv == nil {
		msg.Header[hdrMsgID] = []string{nuid.Next()} // it may be sent twice
	}
	m, err := l.request(ctx, l.pub, &l.writes, msg)
	if err != nil {
		if l.srv != nil && ctx.Err() == nil {
			l.askWhyUnanswered(ctx, subject)
		}
		return err
	}
	a, err := readAnswer(m)
	if err != nil {
		return err
	}
	if a.Error != nil {
		return refused(a)
	}
	return l.syncNewBlocks()
}

// request asks once. A cluster that is between leaders, or a server of it that
// is cut off, does not answer: there the same message goes again, through
// another server where one does not help, until AckTimeout.
func (l *Log) request(ctx context.Context, nc *nats.Conn, servers *mover, msg *nats.Msg) (*nats.Msg, error) {
	if l.srv != nil {
		ctx, cancel := context.WithTimeout(ctx, apiTimeout)
		defer cancel()
		return nc.RequestMsgWithContext(ctx, msg)
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.AckTimeout)
	defer cancel()
	for try := 1; ; try++ {
		once, cancel := context.WithTimeout(ctx, resendAfter)
		m, err := nc.RequestMsgWithContext(once, msg)
		cancel()
		if err == nil && !passingAnswer(m) || err != nil && !passing(err) || ctx.Err() != nil {
			return m, err
		}
		if try%triesPerServer == 0 && !errors.Is(err, nats.ErrNoResponders) {
			servers.elsewhere(nc)
		}
		pause(ctx, resendPause)
	}
}

// passingAnswer says whether an answer is that of a cluster between leaders, or
// of one that still works on the same message, sent before: then another will
// come.
func passingAnswer(m *nats.Msg) bool {
	var a struct {
		Error *jetstream.APIError `json:"error"`
	}
	if json.Unmarshal(m.Data, &a) != nil || a.Error == nil {
		return false
	}
	switch a.Error.ErrorCode {
	case codeNoCluster, codeNotLeader, codeInProcess:
		return true
	}
	return false
}

// askWhyUnanswered finds out why the embedded server did not take a message: it
// does not answer when a write or fsync failed, but does answer a message that
// no stream can take.
func (l *Log) askWhyUnanswered(ctx context.Context, subject string) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	if _, err := l.pub.RequestMsgWithContext(ctx, impossible(subject)); err == nil {
		l.fail(fmt.Errorf("%w: %w", headlessly.ErrLogFailed, errDropped))
	}
}

// impossible is a message that a working stream refuses at once.
func impossible(subject string) *nats.Msg {
	return &nats.Msg{Subject: subject, Header: nats.Header{hdrExpected: []string{strconv.FormatUint(math.MaxUint64, 10)}}}
}

const hdrStream = "Nats-Expected-Stream"
