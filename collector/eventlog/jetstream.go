package eventlog

import (
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// JetStream gives another part of the process the log's JetStream, over a
// connection of its own called name: what it publishes never waits behind the
// log's frames. The embedded server has been checked to sync each write when
// the log was opened; whether an external one does is its operator's to say.
// The connection ends with [Log.Close], so the part closes first.
func (l *Log) JetStream(name string) (jetstream.JetStream, error) {
	if l.stopped.Err() != nil {
		return nil, ErrClosed
	}
	if l.srv != nil && !l.cfg.relaxed {
		if err := checkSyncAlways(l.srv); err != nil {
			return nil, err
		}
	}
	nc, err := connect(l.cfg, l.srv, name)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	l.lentMu.Lock()
	defer l.lentMu.Unlock()
	if l.shutting {
		nc.Close()
		return nil, ErrClosed
	}
	l.lent = append(l.lent, nc)
	return js, nil
}

// closeLent ends the connections that other parts have.
func (l *Log) closeLent() {
	l.lentMu.Lock()
	defer l.lentMu.Unlock()
	l.shutting = true
	for _, nc := range l.lent {
		nc.Close()
	}
}
