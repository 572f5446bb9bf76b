package gateway

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/connectors/store"
	"github.com/headlessly/headlessly/lakehouse"
)

// forgotten is what every try of one deletion has deleted so far. It is kept
// with the deletion: the try that finishes it, perhaps of another process, finds
// nothing more and answers for all.
type forgotten struct {
	Tables map[string]*lakehouse.Forgotten `json:"tables"`
	Log    eventlog.Erased                 `json:"log"`
	Parked eventlog.Erased                 `json:"parked"`
}

// forgottenBefore is what earlier tries of a deletion have deleted.
func forgottenBefore(p *store.Forget) (*forgotten, error) {
	done := &forgotten{}
	if len(p.Done) > 0 {
		if err := json.Unmarshal(p.Done, done); err != nil {
			return nil, fmt.Errorf("read what deletion %s has done: %w", p.ID, err)
		}
	}
	if done.Tables == nil {
		done.Tables = map[string]*lakehouse.Forgotten{}
	}
	return done, nil
}

// note keeps what was deleted, also when the deletion is being stopped.
func (f *forgets) note(ctx context.Context, p *store.Forget, done *forgotten) error {
	raw, err := json.Marshal(done)
	if err != nil {
		return err
	}
	p.Done = raw
	return f.g.store.WidenForget(context.WithoutCancel(ctx), p)
}

// add adds what was deleted from tables.
func (d *forgotten) add(tables []lakehouse.Forgotten) {
	for _, t := range tables {
		s := d.Tables[t.Table]
		if s == nil {
			s = &lakehouse.Forgotten{Table: t.Table}
			d.Tables[t.Table] = s
		}
		s.Rows, s.Files, s.Rewritten, s.Snapshots, s.Snapshot = s.Rows+t.Rows, s.Files+t.Files, s.Rewritten+t.Rewritten, s.Snapshots+t.Snapshots, t.Snapshot
		s.Strays, s.Unswept = s.Strays+t.Strays, t.Unswept
	}
}

func addErased(sum *eventlog.Erased, more eventlog.Erased) {
	sum.Records += more.Records
	sum.Frames += more.Frames
	sum.Through = max(sum.Through, more.Through)
}
