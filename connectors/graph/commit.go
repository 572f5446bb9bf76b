package graph

import (
	"context"
	"errors"
	"time"
)

const (
	// maxBatch is what a server takes in one atomic batch, unless told
	// otherwise.
	maxBatch = 1000
	// maxBatchBytes bounds the memory of one.
	maxBatchBytes = 8 << 20
	// maxWaiting bounds the submissions that wait.
	maxWaiting = 1000
	// batchFrom is how many single messages are worth a batch: a batch costs
	// about 2 ms and 8 µs a message, a message for itself 150 µs.
	batchFrom = 12
	// resendPause is the wait before a message is sent again.
	resendPause = 100 * time.Millisecond
)

// message is one publish: stored only if the subject's last sequence is the
// expected one.
type message struct {
	subject string
	expect  uint64
	data    []byte
}

// proposal is what one mutation wants stored, all or nothing.
type proposal struct {
	msgs []message
	done chan outcome // takes one
}

// outcome is where a proposal's last message is, or why it is not stored.
type outcome struct {
	seq uint64
	err error
}

var (
	// errConflict means that somebody else wrote first.
	errConflict = errors.New("another mutation came first")
	// errClosed means that the graph is closed.
	errClosed = errors.New("graph is closed")
)

// committer stores proposals. Those that come while it works share the next
// atomic batch, and so an fsync.
type committer struct {
	wire    *wire
	in      chan []*proposal
	quit    chan struct{}
	done    chan struct{}
	timeout time.Duration
	held    []*proposal // taken from in, not in a group yet
}

func newCommitter(w *wire, timeout time.Duration) *committer {
	c := &committer{wire: w, in: make(chan []*proposal, maxWaiting), quit: make(chan struct{}), done: make(chan struct{}), timeout: timeout}
	go c.run()
	return c
}

func newProposal(msgs []message) *proposal {
	return &proposal{msgs: msgs, done: make(chan outcome, 1)}
}

// submit hands proposals over, which share a batch as far as they fit. It
// blocks while too many wait.
func (c *committer) submit(ctx context.Context, ps ...*proposal) error {
	select {
	case c.in <- ps:
		return nil
	case <-c.quit:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait blocks until the proposal is stored or refused. After the context's
// error nobody knows which.
func (c *committer) wait(ctx context.Context, p *proposal) (uint64, error) {
	select {
	case o := <-p.done:
		return o.seq, o.err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-c.done:
	}
	select {
	case o := <-p.done:
		return o.seq, o.err
	default:
		return 0, errClosed
	}
}

// close stops after what has been taken; what is still waiting is refused.
func (c *committer) close() {
	close(c.quit)
	<-c.done
}

func (c *committer) run() {
	defer close(c.done)
	for {
		group := c.gather()
		if group == nil {
			c.refuse()
			return
		}
		c.commit(group)
	}
}

func (c *committer) refuse() {
	for {
		select {
		case ps := <-c.in:
			c.held = append(c.held, ps...)
		default:
			for _, p := range c.held {
				p.done <- outcome{err: errClosed}
			}
			return
		}
	}
}

// gather waits for a proposal and takes those that wait behind it, up to a
// batch. Two that write the same subject go into different groups.
func (c *committer) gather() (group []*proposal) {
	if len(c.held) == 0 {
		select {
		case c.held = <-c.in:
		case <-c.quit:
			return nil
		}
	}
	subjects := map[string]bool{}
	bytes, count := 0, 0
	for {
		for i, p := range c.held {
			if len(group) > 0 && (count+len(p.msgs) > maxBatch || bytes+p.size() > maxBatchBytes || p.clashes(subjects)) {
				c.held = c.held[i:]
				return group
			}
			p.note(subjects)
			bytes += p.size()
			count += len(p.msgs)
			group = append(group, p)
		}
		select {
		case c.held = <-c.in:
		default:
			c.held = nil
			return group
		}
	}
}

func (p *proposal) note(subjects map[string]bool) {
	for i := range p.msgs {
		subjects[p.msgs[i].subject] = true
	}
}

func (p *proposal) size() (bytes int) {
	for i := range p.msgs {
		bytes += len(p.msgs[i].data)
	}
	return bytes
}

func (p *proposal) clashes(subjects map[string]bool) bool {
	for i := range p.msgs {
		if subjects[p.msgs[i].subject] {
			return true
		}
	}
	return false
}

// commit stores a group, together if that pays, and tells each its outcome.
func (c *committer) commit(group []*proposal) {
	var all []message
	together := false
	for _, p := range group {
		all = append(all, p.msgs...)
		together = together || len(p.msgs) > 1
	}
	if len(group) > 1 && (together || len(all) >= batchFrom) {
		if seq, err := c.wire.send(all); err == nil {
			next := seq - uint64(len(all))
			for _, p := range group {
				next += uint64(len(p.msgs))
				p.done <- outcome{seq: next}
			}
			return
		}
		// One of them came too late, or the answer was lost: each for itself.
		for _, p := range group {
			c.settle(p, true)
		}
		return
	}
	if together { // a single proposal of several messages
		c.settle(group[0], false)
		return
	}
	acks := c.wire.sendEach(all)
	for i, p := range group {
		if acks[i].err == nil {
			p.done <- acks[i]
			continue
		}
		c.retry(p, acks[i], false)
	}
}

// settle sends one proposal until it is stored or refused. again says that it
// may have been stored already.
func (c *committer) settle(p *proposal, again bool) {
	seq, err := c.wire.send(p.msgs)
	c.retry(p, outcome{seq, err}, again)
}

// retry follows up an answer: a conflict of a message that was sent twice may
// be with itself, and an answer that did not come is asked for again.
func (c *committer) retry(p *proposal, o outcome, again bool) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	for {
		var wire *wireError
		switch {
		case o.err == nil:
			p.done <- o
			return
		case errors.Is(o.err, errConflict):
			if seq, ok := c.wire.landed(ctx, p.msgs); again && ok {
				o = outcome{seq: seq}
			}
			p.done <- o
			return
		case errors.As(o.err, &wire) && wire.permanent:
			p.done <- o
			return
		}
		again = true
		select {
		case <-ctx.Done():
			if seq, ok := c.wire.landed(context.WithoutCancel(ctx), p.msgs); ok {
				o = outcome{seq: seq}
			}
			p.done <- o
			return
		case <-time.After(resendPause):
		}
		o.seq, o.err = c.wire.send(p.msgs)
	}
}
