package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// durable is one named reader's cursor in the state stream, which is also its
// lease: only its owner writes it, by compare-and-set.
type durable struct {
	s     *Store
	name  string
	owner string
	rev   uint64
	at    position
}

// position is a cursor as it is stored.
type position struct {
	Seq   uint64 `json:"seq"`
	Owner string `json:"owner,omitempty"` // "" when nobody runs it
}

// errNotOwner means that another process runs the reader now.
var errNotOwner = errors.New("another process has the cursor")

// readerName leaves room for the parts that remote hooks put together: tenant,
// type, hook and a name of the client's.
var readerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

func (d *durable) subject() string { return d.s.names.statePrefix + "cursor." + d.name }

// load reads the stored cursor; rev is 0 when there is none.
func (d *durable) load(ctx context.Context) (position, uint64, error) {
	var at position
	m, err := d.s.state.GetLastMsgForSubject(ctx, d.subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return at, 0, nil
	}
	if err != nil {
		return at, 0, fmt.Errorf("cursor of %s: %w", d.name, err)
	}
	if err := json.Unmarshal(m.Data, &at); err != nil {
		return at, 0, fmt.Errorf("cursor of %s: %w", d.name, err)
	}
	return at, m.Sequence, nil
}

// save stores the cursor unless somebody else has. It is not cut short by the
// end of ctx: an answer that is not awaited would leave rev behind what is
// stored, and what is done would be done again.
func (d *durable) save(ctx context.Context, at position) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWait)
	defer cancel()
	raw, err := json.Marshal(at)
	if err != nil {
		return err
	}
	ack, err := d.s.cfg.JetStream.Publish(ctx, d.subject(), raw, jetstream.WithExpectLastSequencePerSubject(d.rev))
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == codeWrongLast || api.ErrorCode == codeWrongLastConstant) {
		return errNotOwner
	}
	if err != nil {
		return fmt.Errorf("cursor of %s: %w", d.name, err)
	}
	d.rev, d.at = ack.Sequence, at
	return nil
}

// begin makes a cursor that is not there yet: it starts behind what is in the
// log now.
func (d *durable) begin(ctx context.Context, now uint64) error {
	_, rev, err := d.load(ctx)
	if err != nil || rev != 0 {
		return err
	}
	if err = d.save(ctx, position{Seq: now}); errors.Is(err, errNotOwner) {
		return nil // another process has begun
	}
	return err
}

// acquire waits until the cursor is ours: nobody has it, or its owner has been
// silent for the length of a lease. No clocks are compared.
func (d *durable) acquire(ctx context.Context) error {
	var seen uint64
	silent := time.Duration(0)
	pause := d.s.cfg.LeaseFor / 8
	for {
		at, rev, err := d.load(ctx)
		if err == nil && (at.Owner == "" || at.Owner == d.owner || silent >= d.s.cfg.LeaseFor) {
			d.rev = rev
			if rev == 0 { // somebody has removed it: begin anew, not with all that ever was
				at.Seq = d.s.Position()
			}
			at.Owner = d.owner
			if err = d.save(ctx, at); err == nil {
				return nil
			}
		}
		if rev != seen || err != nil {
			seen, silent = rev, 0
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			silent += pause
		}
	}
}

// release lets another process take over at once.
func (d *durable) release(ctx context.Context) {
	_ = d.save(ctx, position{Seq: d.at.Seq}) // the lease runs out otherwise
}

// forget removes the cursor and what is parked beside it.
func (d *durable) forget(ctx context.Context) error {
	for _, subject := range []string{d.subject(), d.s.names.statePrefix + "parked." + d.name + ".*"} {
		if err := d.s.state.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
			return fmt.Errorf("forget the cursor of %s: %w", d.name, err)
		}
	}
	return nil
}

// parkedSubject is where an event lies that a hook could not take.
func (d *durable) parkedSubject(seq uint64) string {
	return d.s.names.statePrefix + "parked." + d.name + "." + strconv.FormatUint(seq, 10)
}
