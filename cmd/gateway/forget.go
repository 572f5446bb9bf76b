package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/connectors/store"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/all"
	"github.com/headlessly/headlessly/lakehouse"
)

// Bounds of a person's deletion.
const (
	forgetEvery    = time.Minute // between tries of what could not be finished
	forgetFlush    = time.Minute // for the lakehouse to have everything
	forgetReaders  = time.Minute // for every reader to have passed the person's frames
	forgetProvider = time.Minute // for one destination
	forgetRounds   = 3           // over the tables, for events that were under way
)

// forgets deletes people, one at a time. What has begun is in the store, and is
// taken up again after a restart.
type forgets struct {
	g     *Gateway
	turn  sync.Mutex
	again chan struct{} // something was left undone
}

func (g *Gateway) openForgets(context.Context) error {
	g.forgets.g, g.forgets.again = g, make(chan struct{}, 1)
	return nil
}

// run finishes what was begun, until ctx ends.
func (f *forgets) run(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		pending, err := f.g.store.PendingForgets(ctx)
		for _, p := range pending {
			if ctx.Err() == nil {
				_, fault := f.finish(ctx, p)
				err = errors.Join(err, fault)
			}
		}
		if err != nil && ctx.Err() == nil {
			f.g.logger.Error("gateway.forget_failed", slog.Any("error", err), slog.Duration("again_in", forgetEvery))
		}
		select {
		case <-ctx.Done():
			return
		case <-f.again:
		case <-tick.C:
		}
	}
}

// Forget implements control.Forgetting.
func (f *forgets) Forget(ctx context.Context, tenant string, who control.Who) (string, json.RawMessage, error) {
	p := &store.Forget{Tenant: tenant, Users: []string{who.UserID}, Visitors: who.AnonymousIDs}
	if err := f.g.store.BeginForget(ctx, p); err != nil {
		return "", nil, err
	}
	receipt, err := f.finish(ctx, p)
	if err != nil {
		f.g.logger.Error("gateway.forget_failed", slog.String("id", p.ID), slog.Any("error", err))
		select {
		case f.again <- struct{}{}:
		default:
		}
		return p.ID, nil, nil //nolint:nilerr // it goes on by itself
	}
	return p.ID, receipt, nil
}

// forgetReceipt is what a deletion answers for: what was done where. It holds
// no id of the person.
type forgetReceipt struct {
	ID          string                    `json:"id"`
	Tenant      string                    `json:"tenant"`
	Subject     string                    `json:"subject"` // [store.Store.Subject] of the user id
	RequestedAt time.Time                 `json:"requestedAt"`
	CompletedAt time.Time                 `json:"completedAt"`
	Users       int                       `json:"users"`    // user ids of the person
	Visitors    int                       `json:"visitors"` // anonymous ids of the person
	Tables      []lakehouse.Forgotten     `json:"tables"`
	Log         eventlog.Erased           `json:"log"`
	Parked      eventlog.Erased           `json:"parked"`
	Destination []forwarders.ForgetResult `json:"destinations"`
	Remaining   map[string]int64          `json:"remaining"` // rows found by a search afterwards
	Notes       []string                  `json:"notes,omitempty"`
}

// signedReceipt is a receipt with its signature: Ed25519 over the receipt's
// JSON without white space.
type signedReceipt struct {
	Receipt   json.RawMessage `json:"receipt"`
	Signature string          `json:"signature"`
	Key       string          `json:"key"`
}

// finish takes one deletion to its end, from wherever it stands.
func (f *forgets) finish(ctx context.Context, p *store.Forget) (json.RawMessage, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	if done, err := f.g.store.ForgetReceipt(ctx, p.Tenant, p.ID); err != nil || done != nil {
		return done, err
	}
	r := forgetReceipt{ID: p.ID, Tenant: p.Tenant, Subject: f.g.store.Subject(p.Tenant, p.Users[0]), RequestedAt: headlessly.Time(p.At), Notes: []string{}}
	if err := f.identify(ctx, p); err != nil {
		return nil, err
	}
	r.Users, r.Visitors = len(p.Users), len(p.Visitors)
	if err := f.erase(ctx, p, &r); err != nil {
		return nil, err
	}
	var err error
	if r.Destination, err = f.destinations(ctx, p); err != nil {
		return nil, err
	}
	for _, t := range r.Tables {
		if t.Table == lakehouse.TableEntityEvents && t.Rows > 0 {
			r.Notes = append(r.Notes, "the entity graph keeps entities that name the person, with their history: delete those by hand (TYPE.delete)")
		}
	}
	for _, t := range r.Tables {
		if t.Unswept > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("%d data files that the table %s does not name had to stay and may hold rows of the person: what another version wrote goes by itself (headlessly lake expire, a day after it was written), what a catalog with gc.enabled=false keeps goes with that catalog's own collector", t.Unswept, t.Table))
		}
	}
	r.CompletedAt = headlessly.SystemClock().UTC()
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	signed, err := json.Marshal(signedReceipt{raw, base64.StdEncoding.EncodeToString(f.g.store.Sign(raw)), base64.StdEncoding.EncodeToString(f.g.store.ReceiptKey())})
	if err != nil {
		return nil, err
	}
	return signed, f.g.store.FinishForget(ctx, p, signed)
}

// erase takes the person out of the log, the parked items and the tables.
func (f *forgets) erase(ctx context.Context, p *store.Forget, r *forgetReceipt) error {
	done, err := forgottenBefore(p)
	if err != nil {
		return err
	}
	person := lakehouse.Person{Tenant: p.Tenant, Users: p.Users, Visitors: p.Visitors}
	if err := f.g.known.Flush(ctx); err != nil { // a reader of the log, too
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, forgetReaders)
	defer cancel()
	erased, err := f.g.log.Erase(waiting, person.Traced)
	if err != nil {
		return err
	}
	addErased(&done.Log, erased)
	if err := f.note(ctx, p, done); err != nil {
		return err
	}
	erased, err = f.g.log.EraseParked(ctx, p.Tenant, func(it headlessly.ParkedItem) bool {
		return person.Traced(headlessly.Record{Kind: headlessly.RecordEvent, Data: it.Event})
	})
	if err != nil {
		return err
	}
	addErased(&done.Parked, erased)
	if err := f.note(ctx, p, done); err != nil {
		return err
	}
	if err := f.tables(ctx, p, person, done, r); err != nil {
		return err
	}
	r.Log, r.Parked = done.Log, done.Parked
	for _, name := range lakehouse.Tables() {
		if t := done.Tables[name]; t != nil {
			r.Tables = append(r.Tables, *t)
		}
	}
	return nil
}

// identify finds every id of the person, here and at the destinations, and
// notes them before anything is deleted: afterwards nobody could.
func (f *forgets) identify(ctx context.Context, p *store.Forget) error {
	if err := f.flush(ctx); err != nil {
		return err
	}
	add := func(to []string, more ...string) []string {
		for _, id := range more {
			if id != "" && !slices.Contains(to, id) {
				to = append(to, id)
			}
		}
		return to
	}
	for _, user := range slices.Clone(p.Users) {
		found, err := f.g.lake.Identify(ctx, p.Tenant, user)
		if err != nil {
			return err
		}
		p.Users, p.Visitors = add(p.Users, found.Users...), add(p.Visitors, found.Visitors...)
	}
	person := lakehouse.Person{Tenant: p.Tenant, Users: p.Users, Visitors: p.Visitors}
	if p.Elsewhere == nil {
		p.Elsewhere = map[string][]string{}
	}
	for e, err := range f.g.lake.Events(ctx, lakehouse.EventFilter{
		Tenant: p.Tenant, Columns: []string{"tenant", "message_id", "user_id", "anonymous_id", "previous_id", "context", "received_at"},
	}) {
		if err != nil {
			return err
		}
		if !person.Owns(&e) {
			continue
		}
		for _, k := range all.Registry() {
			if k.Forget != nil {
				p.Elsewhere[k.Name] = add(p.Elsewhere[k.Name], k.Forget.IDs(&e)...)
			}
		}
	}
	return f.g.store.WidenForget(ctx, p)
}

// flush waits until the tables hold what the log and the graph hold.
func (f *forgets) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, forgetFlush)
	defer cancel()
	if err := f.g.writer.Flush(ctx); err != nil {
		return err
	}
	return f.g.entityWriter.Flush(ctx)
}

// tables deletes the person's rows until a search finds none: an event that
// was being taken when the deletion began may come later.
func (f *forgets) tables(ctx context.Context, p *store.Forget, person lakehouse.Person, done *forgotten, r *forgetReceipt) error {
	for range forgetRounds {
		if err := f.flush(ctx); err != nil {
			return err
		}
		tables, err := f.g.lake.Forget(ctx, person, nil)
		done.add(tables)
		if err := errors.Join(err, f.note(ctx, p, done)); err != nil {
			return err
		}
		if r.Remaining, err = f.g.lake.Remaining(ctx, person); err != nil {
			return err
		}
		if len(r.Remaining) == 0 {
			return nil
		}
	}
	return fmt.Errorf("rows of the person are still there: %v", r.Remaining)
}

// destinations asks every connected destination to delete the person.
func (f *forgets) destinations(ctx context.Context, p *store.Forget) ([]forwarders.ForgetResult, error) {
	out := []forwarders.ForgetResult{}
	var errs []error
	d, _ := f.g.analytics.Destinations(p.Tenant)
	for _, k := range all.Registry() {
		if k.Forget == nil || !k.Connected(d) {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, forgetProvider)
		r := k.Forget.Delete(bounded, d, f.g.deps, p.Elsewhere[k.Name])
		cancel()
		r.Destination = k.Name
		if r.Status == forwarders.ForgetFailed {
			errs = append(errs, fmt.Errorf("deletion at %s: %s", k.Name, r.Detail))
		}
		out = append(out, r)
	}
	return out, errors.Join(errs...)
}

// Receipt implements control.Forgetting.
func (f *forgets) Receipt(ctx context.Context, tenant, id string) (json.RawMessage, bool, error) {
	receipt, err := f.g.store.ForgetReceipt(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return receipt, true, err
}

// Lift implements control.Forgetting.
func (f *forgets) Lift(ctx context.Context, tenant string, who control.Who) (int, error) {
	return f.g.store.LiftForget(ctx, tenant, who.UserID, who.AnonymousIDs...)
}

// verified is what [forgets.Verify] found.
type verified struct {
	OK        bool             `json:"ok"`
	Signature bool             `json:"signature"` // made by this gateway, over these very words
	Subject   bool             `json:"subject"`   // it is about this user id
	Forgotten bool             `json:"forgotten"` // events of this user id are refused
	Remaining map[string]int64 `json:"remaining"` // rows, log records and parked items that a new search found
}

// Verify implements control.Forgetting.
func (f *forgets) Verify(ctx context.Context, tenant, user string, receipt json.RawMessage) (any, error) {
	var signed signedReceipt
	var body forgetReceipt
	if json.Unmarshal(receipt, &signed) != nil || json.Unmarshal(signed.Receipt, &body) != nil {
		return nil, &headlessly.FieldError{Code: "validation_failed", Field: "receipt", Message: "is no receipt of a deletion: send it whole, with its signature"}
	}
	var out verified
	var words bytes.Buffer
	if err := json.Compact(&words, signed.Receipt); err == nil {
		signature, err := base64.StdEncoding.DecodeString(signed.Signature)
		out.Signature = err == nil && ed25519.Verify(f.g.store.ReceiptKey(), words.Bytes(), signature)
	}
	out.Subject = body.Tenant == tenant && body.Subject == f.g.store.Subject(tenant, user)
	if is := f.g.store.Forgotten(tenant); is != nil {
		out.Forgotten = is(user, "")
	}
	person, err := f.g.lake.Identify(ctx, tenant, user)
	if err != nil {
		return nil, err
	}
	if out.Remaining, err = f.g.lake.Remaining(ctx, person); err != nil {
		return nil, err
	}
	for name, found := range map[string]func() (int64, error){
		"log": func() (n int64, err error) {
			err = f.g.log.Export(ctx, 1, 0, func(fr headlessly.Frame) error {
				for _, r := range fr.Records {
					if person.Traced(r) {
						n++
					}
				}
				return nil
			})
			return n, err
		},
		"parked": func() (n int64, err error) {
			for it, fault := range f.g.log.List(ctx, tenant, "") {
				err = errors.Join(err, fault)
				if fault == nil && person.Traced(headlessly.Record{Kind: headlessly.RecordEvent, Data: it.Event}) {
					n++
				}
			}
			return n, err
		},
	} {
		n, err := found()
		if err != nil {
			return nil, fmt.Errorf("search %s: %w", name, err)
		}
		if n > 0 {
			out.Remaining[name] = n
		}
	}
	out.OK = out.Signature && out.Subject && len(out.Remaining) == 0
	return out, nil
}
