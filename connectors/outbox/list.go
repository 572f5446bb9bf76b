package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/headlessly/headlessly"
)

// States of a delivery as they are shown.
const (
	Pending   = "pending"
	Delivered = "delivered"
	Parked    = "parked"
)

var stateNames = [...]string{Pending, Delivered, Parked} //nolint:gochecknoglobals // a constant

// ErrNotFound means that there is no such endpoint or delivery.
var ErrNotFound = errors.New("not found")

// ErrDisconnected means that an endpoint was removed: its deliveries can be read,
// and not sent.
var ErrDisconnected = errors.New("the endpoint is disconnected")

// Delivery is one event's way to one endpoint, as it stands.
type Delivery struct {
	ID       string // the event's id, evt_…
	Event    string // Deal.Closed
	Target   string // the entity's $id
	Seq      uint64 // the event's place in the graph
	At       time.Time
	State    string
	Ordered  bool
	Attempts int
	Due      time.Time     // of the next attempt, while pending
	Tried    time.Time     // the last attempt, zero before it
	Took     time.Duration // of the last attempt
	Status   int           // of the last answer, 0 without one
	Note     string        // the last answer's excerpt, or the fault
	Replays  int
	Failures []Attempt // the failed attempts, only in [Box.Delivery]
}

// Query chooses deliveries, newest first.
type Query struct {
	State  string // "" for any
	Event  string // "" for any; a name such as Deal.Closed
	Before uint64 // exclusive sequence, 0 for the newest
	Limit  int    // 1 to 1000
}

// Counts are an endpoint's deliveries: Taken = Pending + Delivered + Parked +
// Expired.
type Counts struct {
	Taken     int64 `json:"taken"`
	Pending   int64 `json:"pending"`
	Delivered int64 `json:"delivered"`
	Parked    int64 `json:"parked"`
	Expired   int64 `json:"expired"` // delivered ones that the log no longer keeps
	// Stopped says why nothing is sent, Failing which fault parked a delivery
	// last; "" while all is well.
	Stopped string `json:"stopped,omitempty"`
	Failing string `json:"failing,omitempty"`
	// Seq is the graph's sequence up to which events have been taken.
	Seq uint64 `json:"seq"`
}

// endpoint finds an endpoint's number; one of another tenant is not found.
func (b *Box) endpoint(ctx context.Context, tenant, id string) (n int64, err error) {
	err = b.db.QueryRowContext(ctx, `select n from endpoints where tenant = ? and id = ?`, tenant, id).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, ErrNotFound
	}
	return n, err
}

// living is endpoint for one that deliveries can be sent to.
func (b *Box) living(ctx context.Context, tenant, id string) (n int64, err error) {
	var gone bool
	err = b.db.QueryRowContext(ctx, `select n, gone from endpoints where tenant = ? and id = ?`, tenant, id).Scan(&n, &gone)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, ErrNotFound
	case err == nil && gone:
		return n, ErrDisconnected
	}
	return n, err
}

// Count counts an endpoint's rows.
func (b *Box) Count(ctx context.Context, tenant, id string) (c Counts, err error) {
	n, err := b.endpoint(ctx, tenant, id)
	if err != nil {
		return c, err
	}
	tx, err := b.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return c, fmt.Errorf("outbox: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	var seq int64
	if err := tx.QueryRowContext(ctx, `select seq, stopped, failing, expired from endpoints where n = ?`, n).Scan(&seq, &c.Stopped, &c.Failing, &c.Expired); err != nil {
		return c, fmt.Errorf("outbox: %w", err)
	}
	c.Seq = uint64(seq) //nolint:gosec // a sequence
	err = tx.QueryRowContext(ctx, `select count(*) filter (where state = 0), count(*) filter (where state = 1), count(*) filter (where state = 2) from deliveries where endpoint = ?`, n).
		Scan(&c.Pending, &c.Delivered, &c.Parked)
	c.Taken = c.Pending + c.Delivered + c.Parked + c.Expired
	return c, err
}

const deliveryColumns = `event, name, target, seq, at, state, in_order, attempts, due, tried, took, status, note, replays`

func scanDelivery(scan func(...any) error) (d Delivery, err error) {
	var seq, at, due, tried, took int64
	var state int
	err = scan(&d.ID, &d.Event, &d.Target, &seq, &at, &state, &d.Ordered, &d.Attempts, &due, &tried, &took, &d.Status, &d.Note, &d.Replays)
	if err != nil {
		return d, err
	}
	d.Seq, d.At, d.State, d.Took = uint64(seq), headlessly.Time(at), stateNames[state], time.Duration(took)*time.Microsecond //nolint:gosec // a sequence
	if state == statePending {
		d.Due = headlessly.Time(due)
	}
	if tried != 0 {
		d.Tried = headlessly.Time(tried)
	}
	return d, nil
}

// Deliveries lists an endpoint's deliveries, newest first.
func (b *Box) Deliveries(ctx context.Context, tenant, id string, q Query) ([]Delivery, error) {
	n, err := b.endpoint(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	where, args := `endpoint = ?`, []any{n}
	if q.State != "" {
		state, err := stateNumber(q.State)
		if err != nil {
			return nil, err
		}
		where, args = where+` and state = ?`, append(args, state)
	}
	if q.Event != "" {
		where, args = where+` and name = ? collate nocase`, append(args, q.Event)
	}
	if q.Before > 0 {
		where, args = where+` and seq < ?`, append(args, int64(q.Before)) //nolint:gosec // checked by the caller's parser to be a sequence
	}
	args = append(args, min(max(q.Limit, 1), 1000))
	rows, err := b.db.QueryContext(ctx, `select `+deliveryColumns+` from deliveries where `+where+` order by seq desc limit ?`, args...) //nolint:gosec // constants; what the caller gave is in args
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	defer rows.Close() //nolint:errcheck // the error of reading is rows.Err
	var out []Delivery
	for rows.Next() {
		d, err := scanDelivery(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("outbox: %w", err)
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

func stateNumber(name string) (int, error) {
	for i, s := range stateNames {
		if s == name {
			return i, nil
		}
	}
	return 0, &headlessly.FieldError{Code: "invalid_filter", Field: "state", Message: fmt.Sprintf("%q is no state; known are pending, delivered, parked", name)}
}

// Delivery gives one delivery with its failed attempts.
func (b *Box) Delivery(ctx context.Context, tenant, id, event string) (Delivery, error) {
	n, err := b.endpoint(ctx, tenant, id)
	if err != nil {
		return Delivery{}, err
	}
	d, err := scanDelivery(b.db.QueryRowContext(ctx, `select `+deliveryColumns+` from deliveries where endpoint = ? and event = ?`, n, event).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return d, ErrNotFound
	}
	if err != nil {
		return d, fmt.Errorf("outbox: %w", err)
	}
	rows, err := b.db.QueryContext(ctx, `select n, at, took, status, note from attempts where endpoint = ? and seq = ? order by n`, n, int64(d.Seq)) //nolint:gosec // a sequence
	if err != nil {
		return d, fmt.Errorf("outbox: %w", err)
	}
	defer rows.Close() //nolint:errcheck // the error of reading is rows.Err
	for rows.Next() {
		a := Attempt{Tenant: tenant, Endpoint: id, Event: d.ID, Name: d.Event}
		var at, took int64
		if err := rows.Scan(&a.Number, &at, &took, &a.Status, &a.Note); err != nil {
			return d, fmt.Errorf("outbox: %w", err)
		}
		a.At, a.Took = headlessly.Time(at), time.Duration(took)*time.Microsecond
		d.Failures = append(d.Failures, a)
	}
	return d, rows.Err()
}
