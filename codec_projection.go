package headlessly

import (
	"fmt"
	"math"
)

// stringField gives the string with this field number of event.proto, or nil.
func (d *Delivery) stringField(num int) *string {
	switch num {
	case 1:
		return &d.ID
	case 2:
		return &d.Tenant
	case 3:
		return &d.Destination
	case 4:
		return &d.Integration
	case 5:
		return &d.MessageID
	case 6:
		return &d.Event
	case 11:
		return &d.Outcome
	case 13:
		return &d.Note
	case 14:
		return &d.Error
	}
	return nil
}

func (d *Delivery) intField(num int) *int64 {
	switch num {
	case 7:
		return &d.EventSeq
	case 8:
		return &d.Attempt
	case 9:
		return &d.At
	case 10:
		return &d.Took
	case 12:
		return &d.Status
	}
	return nil
}

// AppendBinary appends the delivery's binary form to b. It never fails.
func (d *Delivery) AppendBinary(b []byte) ([]byte, error) {
	return appendBool(appendFields(b, d, 14), 15, d.Replay), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (d *Delivery) UnmarshalBinary(data []byte) error {
	*d = Delivery{LogSeq: d.LogSeq}
	return decodeFields("delivery", data, d, func(f field) { d.Replay = d.Replay || f.num == 15 && f.u != 0 })
}

func (e *EntityEvent) stringField(num int) *string {
	switch num {
	case 1:
		return &e.ID
	case 2:
		return &e.Tenant
	case 3:
		return &e.Event
	case 4:
		return &e.Type
	case 5:
		return &e.Entity
	case 6:
		return &e.Actor
	case 10:
		return &e.Data
	case 13:
		return &e.Cause
	}
	return nil
}

func (e *EntityEvent) intField(num int) *int64 {
	switch num {
	case 7:
		return &e.Time
	case 8:
		return &e.Version
	case 9:
		return &e.Seq
	}
	return nil
}

// AppendBinary appends the entity event's binary form to b. It never fails.
func (e *EntityEvent) AppendBinary(b []byte) ([]byte, error) {
	b = appendFields(b, e, 13)
	return appendBool(appendBool(b, 11, e.Whole), 12, e.Deleted), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (e *EntityEvent) UnmarshalBinary(data []byte) error {
	*e = EntityEvent{LogSeq: e.LogSeq}
	return decodeFields("entity event", data, e, func(f field) {
		e.Whole = e.Whole || f.num == 11 && f.u != 0
		e.Deleted = e.Deleted || f.num == 12 && f.u != 0
	})
}

func (m *MetricSnapshot) stringField(num int) *string {
	switch num {
	case 1:
		return &m.Tenant
	case 2:
		return &m.Name
	case 3:
		return &m.Kind
	case 4:
		return &m.Unit
	case 9:
		return &m.Currency
	case 10:
		return &m.Dimensions
	case 11:
		return &m.Source
	}
	return nil
}

func (m *MetricSnapshot) intField(num int) *int64 {
	switch num {
	case 5:
		return &m.Time
	case 6:
		return &m.From
	case 8:
		return &m.Amount
	}
	return nil
}

// AppendBinary appends the snapshot's binary form to b. It never fails.
func (m *MetricSnapshot) AppendBinary(b []byte) ([]byte, error) {
	return appendDouble(appendFields(b, m, 11), 7, m.Value), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (m *MetricSnapshot) UnmarshalBinary(data []byte) error {
	*m = MetricSnapshot{LogSeq: m.LogSeq}
	return decodeFields("metric snapshot", data, m, func(f field) {
		if f.num == 7 {
			m.Value = math.Float64frombits(f.u)
		}
	})
}

// numbered is a struct whose fields have the numbers of event.proto.
type numbered interface {
	stringField(num int) *string
	intField(num int) *int64
}

// appendFields appends the texts and integers with numbers up to last.
func appendFields(b []byte, v numbered, last int) []byte {
	for num := 1; num <= last; num++ {
		if p := v.stringField(num); p != nil {
			b = appendString(b, num, *p)
		} else if p := v.intField(num); p != nil {
			b = appendInt(b, num, *p)
		}
	}
	return b
}

// decodeFields sets the texts and integers of v, and gives every field that is
// neither to other.
func decodeFields(what string, data []byte, v numbered, other func(field)) error {
	err := fields(string(data), func(f field) {
		if p := v.stringField(f.num); p != nil {
			*p = f.s
		} else if p := v.intField(f.num); p != nil {
			*p = int64(f.u) //nolint:gosec // two's complement
		} else {
			other(f)
		}
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
