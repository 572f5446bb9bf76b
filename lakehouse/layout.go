package lakehouse

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
)

// Names of the tables.
const (
	TableEvents          = "events"
	TableRejected        = "rejected"
	TableDeliveries      = "deliveries"
	TableEntityEvents    = "entity_events"
	TableWebhookReceipts = "webhook_receipts"
	TableMetricSnapshots = "metric_snapshots"
)

// Tables lists every table.
func Tables() []string {
	return []string{TableEvents, TableRejected, TableDeliveries, TableEntityEvents, TableWebhookReceipts, TableMetricSnapshots}
}

// layoutMakers makes each table's layout, in the order of [Tables].
func layoutMakers() []func() (*layout, error) {
	return []func() (*layout, error){func() (*layout, error) { return eventsLayout(nil) }, rejectedLayout, deliveriesLayout, entityEventsLayout, receiptsLayout, snapshotsLayout}
}

// Partition field ids, as fixed as the columns'.
const (
	partitionTenantID = 1000
	partitionDayID    = 1001
)

// layout is everything about one table that does not change while the process
// runs.
type layout struct {
	shape
	schema    *iceberg.Schema
	partition iceberg.PartitionSpec
	order     table.SortOrder
	arrow     *arrow.Schema // as it is encoded: with field ids, texts as dictionaries
	plain     []string      // columns without a dictionary
	bounded   []string      // columns with bounds in the manifest

	// key reads from a record what batching and sorting need.
	key func(rec headlessly.Record, at place) (k rowKey, err error)
	// newBuilder makes a builder of rows.
	newBuilder func(memory.Allocator) *rowBuilder
}

// shape is what tells a table from the others beside its columns.
type shape struct {
	name string
	kind headlessly.RecordKind // records that are its rows
	// day is the time column whose day is the partition.
	day string
	// id is the UUID column by which copies of a row are told, "" for none.
	id string

	sortEvent, sortTime string // columns that rows of a file are sorted by, "" for none
}

// place is where a record stands: its log_seq and when its frame was stored.
type place struct {
	seq    int64
	stored time.Time
}

// rowKey is what is kept of a row beside its encoded record.
type rowKey struct {
	tenant, event string
	id            uuid.UUID // zero where the table has none
	at            int64     // sort time, µs
	received      int64     // partition time, µs; positive
}

// row is one row of an open batch.
type row struct {
	rowKey
	seq  int64
	data []byte
}

// rowBuilder turns rows into record batches. Not safe for concurrent use.
type rowBuilder struct {
	add    func(*row) error
	finish func() arrow.RecordBatch
	counts func() []int64 // of what did not fit, since the builder was made; nil for none
}

// counter is a row that counts what does not fit its columns.
type counter interface{ counts() []int64 }

func newLayout[T any](is shape, cols []column[T],
	key func(headlessly.Record, place) (rowKey, error), decode func(*row, *T) error,
) (*layout, error) {
	l := &layout{shape: is, key: key}
	fields := make([]iceberg.NestedField, len(cols))
	byName := make(map[string]int, len(cols))
	for i, c := range cols {
		fields[i] = iceberg.NestedField{ID: c.id, Name: c.name, Type: c.typ, Required: c.required}
		byName[c.name] = c.id
		if c.plain {
			l.plain = append(l.plain, c.name)
		}
		if c.stats {
			l.bounded = append(l.bounded, c.name)
		}
	}
	l.schema = iceberg.NewSchema(0, fields...)
	l.partition = iceberg.NewPartitionSpec(
		iceberg.PartitionField{SourceIDs: []int{byName["tenant"]}, FieldID: partitionTenantID, Name: "tenant", Transform: iceberg.IdentityTransform{}},
		iceberg.PartitionField{SourceIDs: []int{byName[is.day]}, FieldID: partitionDayID, Name: is.day + "_day", Transform: iceberg.DayTransform{}},
	)
	var sorts []table.SortField
	for _, col := range []string{"tenant", is.sortEvent, is.sortTime} {
		if col != "" {
			sorts = append(sorts, table.SortField{SourceIDs: []int{byName[col]}, Transform: iceberg.IdentityTransform{}, Direction: table.SortASC, NullOrder: table.NullsFirst})
		}
	}
	var err error
	if l.order, err = table.NewSortOrder(table.InitialSortOrderID, sorts); err != nil {
		return nil, fmt.Errorf("sort order of %s: %w", is.name, err)
	}
	plain, err := table.SchemaToArrowSchema(l.schema, nil, true, false)
	if err != nil {
		return nil, fmt.Errorf("arrow schema of %s: %w", is.name, err)
	}
	encoded := plain.Fields()
	for i, c := range cols {
		if encoded[i].Type.ID() == arrow.STRING && !c.plain {
			encoded[i].Type = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
		}
	}
	l.arrow = arrow.NewSchema(encoded, nil)
	l.newBuilder = func(mem memory.Allocator) *rowBuilder {
		writers := make([]columnWriter[T], len(cols))
		for i, c := range cols {
			writers[i] = c.writer(mem, encoded[i].Type)
		}
		var v T
		n := int64(0)
		return &rowBuilder{
			add: func(r *row) error {
				if err := decode(r, &v); err != nil {
					return err
				}
				n++
				for i := range writers {
					writers[i].add(&v)
				}
				return nil
			},
			counts: func() []int64 {
				if c, ok := any(&v).(counter); ok {
					return c.counts()
				}
				return nil
			},
			finish: func() arrow.RecordBatch {
				arrays := make([]arrow.Array, len(writers))
				for i, w := range writers {
					arrays[i] = w.finish()
					defer arrays[i].Release()
				}
				rec := array.NewRecordBatch(l.arrow, arrays, n)
				n = 0
				return rec
			},
		}
	}
	return l, nil
}

func eventsLayout(more []promoted) (*layout, error) {
	cols := eventColumns()
	for i, p := range more {
		cols = append(cols, p.column(i))
	}
	var parsers fastjson.ParserPool
	return newLayout(shape{TableEvents, headlessly.RecordEvent, "received_at", "message_id", "event", "timestamp"}, cols,
		func(rec headlessly.Record, at place) (rowKey, error) {
			var e headlessly.EventKey
			if err := e.UnmarshalShared(rec.Data); err != nil {
				return rowKey{}, err
			}
			received := receivedOr(e.ReceivedAt, at)
			return rowKey{tenant: e.Tenant, event: e.Event, id: idOr(e.MessageID, at), at: happened(e.Timestamp, received), received: received}, nil
		},
		func(r *row, e *eventRow) error {
			if err := e.UnmarshalShared(r.data); err != nil {
				return err
			}
			e.LogSeq, e.ReceivedAt, e.id = r.seq, r.received, r.id
			if len(more) > 0 {
				e.promote(more, &parsers)
			}
			return nil
		})
}

// idOr reads an id. The collector makes ids UUIDs; should one come that is
// not, the row is kept under an id made from it.
func idOr(text string, at place) uuid.UUID {
	id, err := uuid.Parse(text)
	if err == nil {
		return id
	}
	if text == "" {
		text = fmt.Sprintf("log:%d", at.seq)
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(text))
}

func receivedOr(us int64, at place) int64 {
	if us > 0 && us <= maxTime {
		return us
	}
	if us = at.stored.UnixMicro(); us > 0 && us <= maxTime {
		return us
	}
	return 1
}

func rejectedLayout() (*layout, error) {
	return newLayout(shape{TableRejected, headlessly.RecordRejected, "received_at", "", "", "received_at"}, rejectedColumns(),
		func(rec headlessly.Record, at place) (rowKey, error) {
			var r headlessly.Rejected
			if err := r.UnmarshalBinary(rec.Data); err != nil {
				return rowKey{}, err
			}
			us := receivedOr(r.ReceivedAt, at)
			return rowKey{tenant: r.Tenant, at: us, received: us}, nil
		},
		func(r *row, v *headlessly.Rejected) error {
			if err := v.UnmarshalBinary(r.data); err != nil {
				return err
			}
			v.LogSeq, v.ReceivedAt = r.seq, r.received
			return nil
		})
}

const dayMicros = 24 * 60 * 60 * 1_000_000

func day(us int64) int32 { return int32(us / dayMicros) } //nolint:gosec // us is within the years 1970 to 9999
