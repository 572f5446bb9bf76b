package graph

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ImportOptions say how lines become entities.
type ImportOptions struct {
	// Type is the type of lines without $type.
	Type string
	// Progress, when set, is called with what was done so far, about every
	// thousand lines.
	Progress func(ImportReport)
}

// ImportReport is what an import did.
type ImportReport struct {
	Lines, Created, Updated, Unchanged, Failed int
	Faults                                     []ImportFault // the first [MaxFaults]
}

// ImportFault is a line that was not taken.
type ImportFault struct {
	Line int    `json:"line"` // from 1
	Err  *Error `json:"error"`
}

// Limits of an import.
const (
	// MaxFaults bounds the faults that a report names; all are counted.
	MaxFaults = 1000
	// MaxLineBytes bounds one line.
	MaxLineBytes = 4 * MaxDocBytes
)

// Import reads NDJSON, an entity a line, as [Scope.Export] writes it. A line
// whose $id is known updates that entity, so the same file can be imported
// again; one without makes a new entity. Lines at fault cost no other. The
// error is that of reading r or of the log; the report then tells how far it
// came.
func (sc *Scope) Import(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	var rep ImportReport
	var fatal error
	created := map[int]bool{}     // lines that make an entity
	underway := map[string]bool{} // ids of entities that are not visible yet
	b := bulk{scope: sc}
	b.done = func(line int, res Result, err error) {
		switch {
		case CodeOf(err) == CodeUnavailable:
			fatal = errors.Join(fatal, fmt.Errorf("line %d: %w", line, err))
			rep.Failed++
		case err != nil:
			rep.fault(line, err)
		case res.Event == nil:
			rep.Unchanged++
		case created[line]:
			rep.Created++
		default:
			rep.Updated++
		}
		delete(created, line)
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), MaxLineBytes)
	for fatal == nil && lines.Scan() {
		rep.Lines++
		raw := bytes.TrimSpace(lines.Bytes())
		if len(raw) == 0 {
			continue
		}
		op, err := sc.importOp(ctx, raw, o.Type)
		if err == nil && underway[op.NewID] || len(underway) > exportPage {
			b.finish(ctx)
			clear(underway)
			op, err = sc.importOp(ctx, raw, o.Type)
		}
		switch t := sc.store.types.byName[op.Type]; {
		case err != nil:
			rep.fault(rep.Lines, err)
			continue
		case op.Verb == VerbUpdate && t.Immutable:
			rep.Unchanged++
			continue
		case op.NewID != "":
			underway[op.NewID] = true
		}
		created[rep.Lines] = op.Verb == VerbCreate
		b.add(ctx, rep.Lines, op)
		if o.Progress != nil && rep.Lines%1000 == 0 {
			o.Progress(rep)
		}
	}
	b.finish(ctx)
	if err := lines.Err(); err != nil {
		fatal = errors.Join(fatal, fmt.Errorf("line %d: %w", rep.Lines+1, err))
	}
	if o.Progress != nil {
		o.Progress(rep)
	}
	return rep, fatal
}

func (rep *ImportReport) fault(line int, err error) {
	rep.Failed++
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: CodeInternal, Message: err.Error()}
	}
	if len(rep.Faults) < MaxFaults {
		rep.Faults = append(rep.Faults, ImportFault{Line: line, Err: e})
	}
}

// importOp turns a line into a create, or an update if the entity is known.
func (sc *Scope) importOp(ctx context.Context, raw []byte, typ string) (Op, error) {
	fields, err := decodeObject(raw)
	if err != nil {
		return Op{}, &Error{Code: CodeInvalidJSON, Message: "the line is no JSON object: " + err.Error()}
	}
	if t, ok := fields["$type"].(string); ok {
		typ = t
	}
	if typ == "" {
		return Op{}, invalid("", "$type", "$type: name the type, in the line or for the whole import")
	}
	op := Op{Type: typ, Verb: VerbCreate, Args: fields}
	id, _ := fields["$id"].(string)
	t, err := sc.store.types.Lookup(typ)
	if err != nil || id == "" {
		return op, err
	}
	op.NewID = id
	p, release := sc.store.view()
	defer release()
	st, err := sc.store.stateOf(ctx, p, sc.tenant, t, id, whole)
	if err == nil && st != nil {
		op.Verb, op.ID, op.NewID = VerbUpdate, id, ""
		if st.deleted {
			return op, &Error{Code: CodeConflict, Type: typ, ID: id, Message: "the " + typ + " is deleted here; bring it back with rollback first"}
		}
	}
	return op, err
}

// exportPage is how many entities are read at once.
const exportPage = 500

// Export writes the living entities of these types, all types when none is
// named, as NDJSON: one consistent moment, now or asOf, however long it takes.
func (sc *Scope) Export(ctx context.Context, w io.Writer, asOf AsOf, types ...string) error {
	chosen := sc.store.types.list
	if len(types) > 0 {
		chosen = nil
		for _, name := range types {
			t, err := sc.store.types.Lookup(name)
			if err != nil {
				return err
			}
			chosen = append(chosen, t)
		}
	}
	out := bufio.NewWriterSize(w, 64<<10)
	seq, err := sc.moment(ctx, asOf)
	for _, t := range chosen {
		if err == nil {
			err = sc.exportType(ctx, out, t, seq)
		}
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// moment pins a moment, now included, to a sequence.
func (sc *Scope) moment(ctx context.Context, asOf AsOf) (uint64, error) {
	p, release := sc.store.view()
	defer release()
	at, _ := p.position()
	seq, err := p.seqAt(ctx, asOf)
	return min(seq, at), err
}

func (sc *Scope) exportType(ctx context.Context, w io.Writer, t *Type, seq uint64) error {
	after := ""
	for {
		page, err := sc.store.statesAfter(ctx, sc.tenant, t, after, seq, exportPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, st := range page {
			after = st.ID
			if st.deleted {
				continue
			}
			raw, err := st.MarshalJSON()
			if err != nil {
				return err
			}
			if _, err := w.Write(append(raw, '\n')); err != nil {
				return err
			}
		}
	}
}

// statesAfter reads the states of a type's entities at seq, by id, deleted ones
// included.
func (s *Store) statesAfter(ctx context.Context, tenant string, t *Type, after string, seq uint64, limit int) (out []*state, err error) {
	p, release := s.view()
	defer release()
	number, err := p.tenantID(ctx, tenant)
	if err != nil || number == 0 {
		return nil, err
	}
	first := t.IDPrefix()
	end := strings.TrimSuffix(first, "_") + "`" // the character behind _
	err = p.scan(ctx, func(r *sql.Rows) error {
		st := &state{Entity: s.blank(tenant, t)}
		out = append(out, st)
		return st.scan(r)
	}, `select `+stateColumns+` from events where seq in (select max(seq) from events where tenant = ? and target > ? and target < ? and seq <= ? group by target order by target limit ?) order by target`,
		number, max(after, first), end, bounded(seq), limit)
	return out, err
}
