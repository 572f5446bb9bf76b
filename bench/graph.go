package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the yardstick

	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/connectors/graph"
)

// Sizes of the graph's measurements.
const (
	graphRows    = 100_000
	graphMillion = 1_000_000
	graphBatch   = 1000 // operations of a batch, rows of a transaction
	graphWriters = 4
	graphSingles = 1500 // mutations one by one
	graphReads   = 4000
	graphGroups  = 2000 // entities share an indexed value with rows/graphGroups others
)

func graphSmall(ctx context.Context, w io.Writer, _, dir string) error {
	return graphBench(ctx, w, dir, graphRows)
}

func graphLarge(ctx context.Context, w io.Writer, _, dir string) error {
	return graphBench(ctx, w, dir, graphMillion)
}

// graphBench measures the entity graph against plain SQLite that does the same
// rows: a table with the same columns and indexes, synced as durably.
func graphBench(ctx context.Context, w io.Writer, dir string, rows int) (err error) {
	log, err := eventlog.Open(ctx, eventlog.DefaultConfig(filepath.Join(dir, "log")))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close(context.WithoutCancel(ctx))) }()
	js, err := log.JetStream("graph")
	if err != nil {
		return err
	}
	store, err := graph.Open(ctx, graph.DefaultConfig(js, filepath.Join(dir, "graph")))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	scope, err := store.Scope("bench", "apikey_bench")
	if err != nil {
		return err
	}
	plain, err := openPlain(ctx, filepath.Join(dir, "plain.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain.close()) }()
	b := graphRun{w: w, scope: scope, store: store, plain: plain, rows: rows}
	_, _ = fmt.Fprintf(w, "graph: %d entities, each with one unique and two indexed fields; plain SQLite (WAL, synchronous FULL) with the same columns and indexes\n", rows)
	for _, step := range []func(context.Context) error{b.grouped, b.single, b.finds, b.gets, b.rebuild} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

type graphRun struct {
	w     io.Writer
	scope *graph.Scope
	store *graph.Store
	plain *plainTable
	rows  int
}

func (b *graphRun) tell(what string, ours, plain float64) {
	_, _ = fmt.Fprintf(b.w, "  %-44s %10.0f /s, plain SQLite %10.0f, ratio %.2f\n", what, ours, plain, ours/plain)
}

// contact is the i-th entity.
func contact(i int) map[string]any {
	return map[string]any{
		"name": "Contact " + strconv.Itoa(i), "email": "c" + strconv.Itoa(i) + "@example.com", "stage": []string{"Lead", "Qualified", "Customer"}[i%3],
		"organization": "Organization " + strconv.Itoa(i%graphGroups), "source": "bench", "leadScore": i % 100,
	}
}

// deal has an indexed field that a few entities share.
func deal(i int) map[string]any {
	return map[string]any{"name": "Deal " + strconv.Itoa(i), "value": i, "contact": group(i), "stage": []string{"Open", "Won", "Lost"}[i%3], "note": "bench"}
}

func group(i int) string { return "contact_" + strconv.Itoa(10_000_000+i%graphGroups) }

// grouped writes all rows: batches by several writers, transactions by one.
func (b *graphRun) grouped(ctx context.Context) error {
	begin := time.Now() //nolint:forbidigo // measures
	var wg sync.WaitGroup
	errs := make([]error, graphWriters)
	for n := range graphWriters {
		wg.Go(func() {
			for first := n * graphBatch; first < b.rows && errs[n] == nil; first += graphWriters * graphBatch {
				ops := make([]graph.Op, 0, graphBatch)
				for i := first; i < min(first+graphBatch, b.rows); i++ {
					ops = append(ops, graph.Op{Type: "Deal", Verb: graph.VerbCreate, Args: deal(i)})
				}
				results, err := b.scope.Batch(ctx, ops)
				for _, r := range results {
					err = errors.Join(err, r.Err)
				}
				errs[n] = err
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	ours := time.Since(begin)
	begin = time.Now() //nolint:forbidigo // measures
	for first := 0; first < b.rows; first += graphBatch {
		if err := b.plain.insert(ctx, first, min(first+graphBatch, b.rows)); err != nil {
			return err
		}
	}
	b.tell("durable mutations, batches of 1,000", rate(b.rows, ours), rate(b.rows, time.Since(begin)))
	return nil
}

func rate(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

// single writes one by one: one caller, then many at once.
func (b *graphRun) single(ctx context.Context) error {
	next := b.rows
	for _, callers := range []int{1, 64} {
		ours, err := parallel(callers, graphSingles*callers/8+graphSingles/2, func(i int) error {
			_, err := b.scope.Create(ctx, "Contact", contact(next+i))
			return err
		})
		if err != nil {
			return err
		}
		next += graphSingles * callers
		plain, err := parallel(1, graphSingles/2, func(i int) error { return b.plain.insert(ctx, next+i, next+i+1) })
		if err != nil {
			return err
		}
		next += graphSingles
		b.tell(fmt.Sprintf("durable mutations one by one, %d callers", callers), ours.perSecond(), plain.perSecond())
	}
	return nil
}

// finds reads pages of 25 by an indexed field, with their total.
func (b *graphRun) finds(ctx context.Context) error {
	for _, callers := range []int{1, graphWriters} {
		plain, err := parallel(callers, graphReads, func(i int) error { return b.plain.find(ctx, group(i*7919)) })
		if err != nil {
			return err
		}
		ours, err := parallel(callers, graphReads, func(i int) error {
			page, err := b.scope.Find(ctx, graph.Query{Type: "Deal", Filter: map[string]any{"contact": group(i * 7919)}})
			if err != nil {
				return err
			}
			return encoded(page.Results)
		})
		if err != nil {
			return err
		}
		b.tell(fmt.Sprintf("find by index, page of 25 and total, %d callers", callers), ours.perSecond(), plain.perSecond())
		_, _ = fmt.Fprintf(b.w, "  %-44s %10s p50, %s p99; plain SQLite %s p50, %s p99\n", "", ours.share(0.5), ours.share(0.99), plain.share(0.5), plain.share(0.99))
	}
	return nil
}

func encoded(list []*graph.Entity) error {
	var buf []byte
	var err error
	for _, e := range list {
		if buf, err = e.AppendJSON(buf); err != nil {
			return err
		}
	}
	return nil
}

// gets reads entities by id.
func (b *graphRun) gets(ctx context.Context) error {
	page, err := b.scope.Find(ctx, graph.Query{Type: "Deal", Limit: graph.MaxLimit})
	if err != nil {
		return err
	}
	plain, err := parallel(1, graphReads, func(i int) error { return b.plain.get(ctx, (i*7919)%b.rows) })
	if err != nil {
		return err
	}
	ours, err := parallel(1, graphReads, func(i int) error {
		e, err := b.scope.Get(ctx, "Deal", page.Results[i%len(page.Results)].ID, graph.AsOf{})
		if err != nil {
			return err
		}
		return encoded([]*graph.Entity{e})
	})
	if err != nil {
		return err
	}
	b.tell("get by id", ours.perSecond(), plain.perSecond())
	return nil
}

// rebuild projects the whole log anew.
func (b *graphRun) rebuild(ctx context.Context) error {
	begin := time.Now() //nolint:forbidigo // measures
	var last graph.Progress
	if err := b.store.Rebuild(ctx, func(p graph.Progress) { last = p }); err != nil {
		return err
	}
	ours := time.Since(begin)
	fresh, err := openPlain(ctx, filepath.Join(filepath.Dir(b.plain.path), "again.db"))
	if err != nil {
		return err
	}
	defer fresh.close() //nolint:errcheck // thrown away
	begin = time.Now()  //nolint:forbidigo // measures
	n := min(b.rows, graphRows)
	for first := 0; first < n; first += graphBatch {
		if err := fresh.insert(ctx, first, first+graphBatch); err != nil {
			return err
		}
	}
	b.tell("projection rebuilt, messages", rate(int(last.Done), ours), rate(n, time.Since(begin))) //nolint:gosec // a count
	return nil
}

// timings are how long calls took.
type timings struct {
	each  []time.Duration
	total time.Duration
}

func (t timings) perSecond() float64 { return rate(len(t.each), t.total) }
func (t timings) share(q float64) time.Duration {
	return t.each[int(float64(len(t.each)-1)*q)].Round(time.Microsecond)
}

func parallel(callers, calls int, f func(i int) error) (timings, error) {
	lists, errs := make([][]time.Duration, callers), make([]error, callers)
	begin := time.Now() //nolint:forbidigo // measures
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; i < calls && errs[c] == nil; i += callers {
				one := time.Now() //nolint:forbidigo // measures
				errs[c] = f(i)
				lists[c] = append(lists[c], time.Since(one))
			}
		})
	}
	wg.Wait()
	out := timings{each: slices.Concat(lists...), total: time.Since(begin)}
	slices.Sort(out.each)
	return out, errors.Join(errs...)
}

// plainTable is the yardstick: what one would write by hand.
type plainTable struct {
	path                   string
	db, readers            *sql.DB
	add, page, count, byID *sql.Stmt
}

func openPlain(ctx context.Context, path string) (*plainTable, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	p := &plainTable{path: path}
	var err error
	if p.db, err = sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(10000)&_pragma=cache_size(-65536)"); err != nil {
		return nil, err
	}
	p.db.SetMaxOpenConns(1)
	if _, err = p.db.ExecContext(ctx, `create table deals (tenant integer not null, id text not null, version integer not null, seq integer not null, created_at integer not null, updated_at integer not null, created_by text not null, doc text not null, contact, stage);
		create unique index deals_id on deals (tenant, id); create index deals_created on deals (tenant, created_at, id);
		create index deals_contact on deals (tenant, contact, created_at, id); create index deals_stage on deals (tenant, stage, created_at, id);`); err != nil {
		return nil, err
	}
	if p.readers, err = sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)&_pragma=cache_size(-16384)"); err != nil {
		return nil, err
	}
	p.readers.SetMaxOpenConns(8)
	p.readers.SetMaxIdleConns(8)
	for to, query := range map[**sql.Stmt]string{
		&p.page:  `select id, version, created_at, updated_at, created_by, doc from deals where tenant = ? and contact = ? order by created_at desc, id desc limit 25`,
		&p.count: `select count(*) from deals where tenant = ? and contact = ?`,
		&p.byID:  `select id, version, created_at, updated_at, created_by, doc from deals where tenant = ? and id = ?`,
	} {
		if *to, err = p.readers.PrepareContext(ctx, query); err != nil { //nolint:sqlclosecheck // closed with the database
			return nil, err
		}
	}
	p.add, err = p.db.PrepareContext(ctx, `insert into deals values (1, ?, 1, ?, ?, ?, 'apikey_bench', ?, ?, ?)`)
	return p, err
}

func (p *plainTable) close() error { return errors.Join(p.readers.Close(), p.db.Close()) }

func plainID(i int) string { return "deal_" + strconv.Itoa(100_000_000+i*7) }

// insert writes rows in one transaction.
func (p *plainTable) insert(ctx context.Context, first, behind int) error {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for i := first; i < behind; i++ {
		d := deal(i)
		doc := fmt.Sprintf(`{"contact":%q,"name":%q,"note":"bench","stage":%q,"value":%d}`, d["contact"], d["name"], d["stage"], i)
		if _, err := tx.StmtContext(ctx, p.add).ExecContext(ctx, plainID(i), i, i, i, doc, d["contact"], d["stage"]); err != nil { //nolint:sqlclosecheck // closed with the transaction
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// read scans rows and writes them as JSON.
func (p *plainTable) read(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var buf bytes.Buffer
	for rows.Next() {
		var id, by, doc string
		var version, created, updated int64
		if err := rows.Scan(&id, &version, &created, &updated, &by, &doc); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&buf, `{"$id":%q,"$version":%d,"$createdAt":%q,"$updatedAt":%q,"$createdBy":%q,%s`, id, version, graph.FormatTime(created), graph.FormatTime(updated), by, doc[1:])
	}
	return rows.Err()
}

func (p *plainTable) find(ctx context.Context, contact string) error {
	var n int64
	if err := p.count.QueryRowContext(ctx, 1, contact).Scan(&n); err != nil {
		return err
	}
	return p.read(p.page.QueryContext(ctx, 1, contact))
}

func (p *plainTable) get(ctx context.Context, i int) error {
	return p.read(p.byID.QueryContext(ctx, 1, plainID(i)))
}
