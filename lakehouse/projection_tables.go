package lakehouse

import (
	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
)

// Tables of what is not an event; the rules of [eventColumns] hold.

// deliveryRow is one row of the deliveries table.
type deliveryRow struct {
	headlessly.Delivery
	id uuid.UUID
}

func deliveryColumns() []column[deliveryRow] {
	type row = deliveryRow
	return []column[row]{
		identifier(1, "id", func(r *row) uuid.UUID { return r.id }).must().distinct(),
		name(2, "tenant", func(r *row) string { return r.Tenant }).bounded(),
		text(3, "destination", func(r *row) string { return r.Destination }).bounded(),
		text(4, "integration", func(r *row) string { return r.Integration }),
		text(5, "message_id", func(r *row) string { return r.MessageID }).distinct().bounded(),
		text(6, "event", func(r *row) string { return r.Event }),
		long(7, "event_seq", func(r *row) (int64, bool) { return r.EventSeq, r.EventSeq != 0 }).distinct().bounded(),
		long(8, "attempt", func(r *row) (int64, bool) { return r.Attempt, r.Attempt != 0 }),
		instant(9, "at", func(r *row) int64 { return r.At }).must().distinct().bounded(),
		long(10, "took_us", func(r *row) (int64, bool) { return r.Took, true }),
		text(11, "outcome", func(r *row) string { return r.Outcome }).bounded(),
		long(12, "status", func(r *row) (int64, bool) { return r.Status, r.Status != 0 }),
		text(13, "note", func(r *row) string { return r.Note }),
		text(14, "error", func(r *row) string { return r.Error }),
		flag(15, "replay", func(r *row) bool { return r.Replay }),
		long(16, "log_seq", func(r *row) (int64, bool) { return r.LogSeq, true }).must().distinct().bounded(),
	}
}

func deliveriesLayout() (*layout, error) {
	return newLayout(shape{TableDeliveries, headlessly.RecordDelivery, "at", "id", "destination", "at"}, deliveryColumns(),
		func(rec headlessly.Record, at place) (rowKey, error) {
			var d headlessly.Delivery
			if err := d.UnmarshalBinary(rec.Data); err != nil {
				return rowKey{}, err
			}
			us := receivedOr(d.At, at)
			return rowKey{tenant: d.Tenant, event: d.Destination, id: idOr(d.ID, at), at: us, received: us}, nil
		},
		func(r *row, d *deliveryRow) error {
			if err := d.UnmarshalBinary(r.data); err != nil {
				return err
			}
			d.LogSeq, d.At, d.id = r.seq, r.received, r.id
			return nil
		})
}

func entityEventColumns() []column[headlessly.EntityEvent] {
	type row = headlessly.EntityEvent
	return []column[row]{
		text(1, "id", func(r *row) string { return r.ID }).distinct(),
		name(2, "tenant", func(r *row) string { return r.Tenant }).bounded(),
		text(3, "event", func(r *row) string { return r.Event }).bounded(),
		text(4, "type", func(r *row) string { return r.Type }).bounded(),
		text(5, "entity", func(r *row) string { return r.Entity }).bounded(),
		text(6, "actor", func(r *row) string { return r.Actor }),
		instant(7, "timestamp", func(r *row) int64 { return r.Time }).must().distinct().bounded(),
		long(8, "version", func(r *row) (int64, bool) { return r.Version, true }),
		long(9, "seq", func(r *row) (int64, bool) { return r.Seq, true }).distinct().bounded(),
		text(10, "data", func(r *row) string { return r.Data }).distinct(),
		flag(11, "whole", func(r *row) bool { return r.Whole }),
		flag(12, "deleted", func(r *row) bool { return r.Deleted }),
		text(13, "cause", func(r *row) string { return r.Cause }),
		long(14, "log_seq", func(r *row) (int64, bool) { return r.LogSeq, true }).must().distinct().bounded(),
	}
}

func entityEventsLayout() (*layout, error) {
	return newLayout(shape{TableEntityEvents, headlessly.RecordEntityEvent, "timestamp", "", "event", "timestamp"}, entityEventColumns(),
		func(rec headlessly.Record, at place) (rowKey, error) {
			var e headlessly.EntityEvent
			if err := e.UnmarshalBinary(rec.Data); err != nil {
				return rowKey{}, err
			}
			us := receivedOr(e.Time, at)
			return rowKey{tenant: e.Tenant, event: e.Event, at: us, received: us}, nil
		},
		func(r *row, e *headlessly.EntityEvent) error {
			if err := e.UnmarshalBinary(r.data); err != nil {
				return err
			}
			e.LogSeq, e.Time = r.seq, r.received
			return nil
		})
}

func receiptColumns() []column[headlessly.Receipt] {
	type row = headlessly.Receipt
	return []column[row]{
		name(1, "tenant", func(r *row) string { return r.Tenant }).bounded(),
		text(2, "provider", func(r *row) string { return r.Provider }).bounded(),
		text(3, "integration", func(r *row) string { return r.Integration }).bounded(),
		instant(4, "received_at", func(r *row) int64 { return r.ReceivedAt }).must().distinct().bounded(),
		text(5, "headers", func(r *row) string { return r.Headers }),
		text(6, "query", func(r *row) string { return r.Query }),
		bytesOf(7, "body", func(r *row) []byte { return r.Body }).distinct(),
		long(8, "log_seq", func(r *row) (int64, bool) { return r.LogSeq, true }).must().distinct().bounded(),
	}
}

func receiptsLayout() (*layout, error) {
	return newLayout(shape{TableWebhookReceipts, headlessly.RecordReceipt, "received_at", "", "provider", "received_at"}, receiptColumns(),
		func(rec headlessly.Record, at place) (rowKey, error) {
			var v headlessly.Receipt
			if err := v.UnmarshalBinary(rec.Data); err != nil {
				return rowKey{}, err
			}
			us := receivedOr(v.ReceivedAt, at)
			return rowKey{tenant: v.Tenant, event: v.Provider, at: us, received: us}, nil
		},
		func(r *row, v *headlessly.Receipt) error {
			if err := v.UnmarshalBinary(r.data); err != nil {
				return err
			}
			v.LogSeq, v.ReceivedAt = r.seq, r.received
			return nil
		})
}

func snapshotColumns() []column[headlessly.MetricSnapshot] {
	type row = headlessly.MetricSnapshot
	return []column[row]{
		name(1, "tenant", func(r *row) string { return r.Tenant }).bounded(),
		text(2, "name", func(r *row) string { return r.Name }).bounded(),
		text(3, "kind", func(r *row) string { return r.Kind }),
		text(4, "unit", func(r *row) string { return r.Unit }),
		instant(5, "timestamp", func(r *row) int64 { return r.Time }).must().distinct().bounded(),
		instant(6, "period_start", func(r *row) int64 { return r.From }),
		double(7, "value", func(r *row) (float64, bool) { return r.Value, r.Currency == "" }),
		long(8, "amount", func(r *row) (int64, bool) { return r.Amount, r.Currency != "" }),
		text(9, "currency", func(r *row) string { return r.Currency }),
		text(10, "dimensions", func(r *row) string { return r.Dimensions }),
		text(11, "source", func(r *row) string { return r.Source }),
		long(12, "log_seq", func(r *row) (int64, bool) { return r.LogSeq, true }).must().distinct().bounded(),
	}
}

func snapshotsLayout() (*layout, error) {
	return newLayout(shape{TableMetricSnapshots, headlessly.RecordMetricSnapshot, "timestamp", "", "name", "timestamp"}, snapshotColumns(),
		func(rec headlessly.Record, at place) (rowKey, error) {
			var m headlessly.MetricSnapshot
			if err := m.UnmarshalBinary(rec.Data); err != nil {
				return rowKey{}, err
			}
			us := receivedOr(m.Time, at)
			return rowKey{tenant: m.Tenant, event: m.Name, at: us, received: us}, nil
		},
		func(r *row, m *headlessly.MetricSnapshot) error {
			if err := m.UnmarshalBinary(r.data); err != nil {
				return err
			}
			m.LogSeq, m.Time = r.seq, r.received
			return nil
		})
}
