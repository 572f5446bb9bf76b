package headlessly

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// The binary form of Event, Rejected and Receipt is the protobuf wire format of
// event.proto, written and read by hand because it stands on the path of every
// event. A field that is empty is left out; a field that is not known is
// skipped, so a newer version's log can be read.

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

var errTruncatedRecord = errors.New("record ends inside a field")

// field is one decoded wire field: its number and either its number value or
// its bytes.
type field struct {
	num int
	u   uint64
	s   string
}

func appendTag(b []byte, num, wire int) []byte {
	return binary.AppendUvarint(b, uint64(num)<<3|uint64(wire)) //nolint:gosec // constants below 1000
}

func appendString(b []byte, num int, s string) []byte {
	if s == "" {
		return b
	}
	b = appendTag(b, num, wireBytes)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendInt(b []byte, num int, v int64) []byte {
	if v == 0 {
		return b
	}
	b = appendTag(b, num, wireVarint)
	return binary.AppendUvarint(b, uint64(v)) //nolint:gosec // two's complement, as protobuf's int64
}

func appendBool(b []byte, num int, v bool) []byte {
	if !v {
		return b
	}
	return appendInt(b, num, 1)
}

func appendDouble(b []byte, num int, v float64) []byte {
	if v == 0 {
		return b
	}
	b = appendTag(b, num, wireFixed64)
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// fields calls set for each field of a record. Strings share memory with s.
func fields(s string, set func(field)) error {
	for len(s) > 0 {
		tag, n := uvarint(s)
		if n <= 0 {
			return errTruncatedRecord
		}
		s = s[n:]
		f := field{num: int(tag >> 3)} //nolint:gosec // only compared with small numbers
		switch tag & 7 {
		case wireVarint:
			f.u, n = uvarint(s)
			if n <= 0 {
				return errTruncatedRecord
			}
			s = s[n:]
		case wireFixed64:
			if len(s) < 8 {
				return errTruncatedRecord
			}
			f.u = binary.LittleEndian.Uint64([]byte(s[:8]))
			s = s[8:]
		case wireFixed32:
			if len(s) < 4 {
				return errTruncatedRecord
			}
			s = s[4:]
		case wireBytes:
			size, n := uvarint(s)
			if n <= 0 || size > uint64(len(s)-n) {
				return errTruncatedRecord
			}
			f.s = s[n : n+int(size)] //nolint:gosec // checked against the length
			s = s[n+int(size):]      //nolint:gosec // checked against the length
		default:
			return fmt.Errorf("record has wire type %d", tag&7)
		}
		set(f)
	}
	return nil
}

// uvarint is binary.Uvarint for a string. Most tags and many lengths are one
// byte; that much is inlined where it is called.
func uvarint(s string) (uint64, int) {
	if len(s) > 0 && s[0] < 0x80 {
		return uint64(s[0]), 1
	}
	return longUvarint(s)
}

func longUvarint(s string) (uint64, int) {
	var x uint64
	for i := range len(s) {
		c := s[i]
		if i == binary.MaxVarintLen64 || (i == binary.MaxVarintLen64-1 && c > 1) {
			return 0, -1
		}
		if c < 0x80 {
			return x | uint64(c)<<(7*i), i + 1
		}
		x |= uint64(c&0x7f) << (7 * i)
	}
	return 0, 0
}

// AppendBinary appends the event's binary form to b. It never fails; the error
// is there for encoding.BinaryAppender.
func (e *Event) AppendBinary(b []byte) ([]byte, error) {
	for num := 1; num < maxEventField; num++ {
		if p := e.stringField(num); p != nil {
			b = appendString(b, num, *p)
		} else if p := e.intField(num); p != nil {
			b = appendInt(b, num, *p)
		}
	}
	b = appendBool(b, fieldIsBot, e.IsBot)
	b = appendBool(b, fieldHasRevenue, e.HasRevenue)
	return appendDouble(b, fieldVitalValue, e.VitalValue), nil
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (e *Event) MarshalBinary() ([]byte, error) { return e.AppendBinary(nil) }

// UnmarshalBinary implements encoding.BinaryUnmarshaler. It copies data once
// and replaces the whole event but LogSeq.
func (e *Event) UnmarshalBinary(data []byte) error { return e.decode(string(data)) }

// UnmarshalShared is UnmarshalBinary without the copy: the event's texts are
// parts of data, which must not change while the event is in use.
func (e *Event) UnmarshalShared(data []byte) error {
	return e.decode(unsafe.String(unsafe.SliceData(data), len(data))) //nolint:gosec // the caller keeps data as it is
}

func (e *Event) decode(s string) error {
	*e = Event{LogSeq: e.LogSeq}
	err := fields(s, func(f field) {
		if p := e.stringField(f.num); p != nil {
			*p = f.s
			return
		}
		if p := e.intField(f.num); p != nil {
			*p = int64(f.u) //nolint:gosec // two's complement
			return
		}
		switch f.num {
		case fieldIsBot:
			e.IsBot = f.u != 0
		case fieldHasRevenue:
			e.HasRevenue = f.u != 0
		case fieldVitalValue:
			e.VitalValue = math.Float64frombits(f.u)
		}
	})
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	return nil
}

// EventKey is what readers of the log that sort, group or deduplicate need of
// an event before they decode it.
type EventKey struct {
	MessageID, Tenant, Event string
	Timestamp, ReceivedAt    int64
}

// UnmarshalShared reads the key out of an event's binary form, which it checks
// to its end. The texts are parts of data, which must not change while they are
// in use.
func (k *EventKey) UnmarshalShared(data []byte) error {
	*k = EventKey{}
	s := unsafe.String(unsafe.SliceData(data), len(data)) //nolint:gosec // the caller keeps data as it is
	err := fields(s, func(f field) {
		switch f.num {
		case 1:
			k.MessageID = f.s
		case 2:
			k.Tenant = f.s
		case 4:
			k.Event = f.s
		case 11:
			k.Timestamp = int64(f.u) //nolint:gosec // two's complement
		case 14:
			k.ReceivedAt = int64(f.u) //nolint:gosec // two's complement
		}
	})
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	return nil
}

// AppendBinary appends the rejected input's binary form to b. It never fails.
func (r *Rejected) AppendBinary(b []byte) ([]byte, error) {
	b = appendString(b, 1, r.Tenant)
	b = appendInt(b, 2, r.ReceivedAt)
	b = appendString(b, 3, r.Reason)
	b = appendString(b, 4, r.Field)
	b = appendString(b, 5, r.Message)
	b = appendString(b, 6, r.Path)
	b = appendString(b, 7, r.ContentType)
	b = appendString(b, 8, r.IP)
	b = appendString(b, 9, string(r.Raw))
	return appendBool(b, 10, r.Truncated), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (r *Rejected) UnmarshalBinary(data []byte) error {
	*r = Rejected{LogSeq: r.LogSeq}
	err := fields(string(data), func(f field) {
		switch f.num {
		case 1:
			r.Tenant = f.s
		case 2:
			r.ReceivedAt = int64(f.u) //nolint:gosec // two's complement
		case 3:
			r.Reason = f.s
		case 4:
			r.Field = f.s
		case 5:
			r.Message = f.s
		case 6:
			r.Path = f.s
		case 7:
			r.ContentType = f.s
		case 8:
			r.IP = f.s
		case 9:
			r.Raw = []byte(f.s)
		case 10:
			r.Truncated = f.u != 0
		}
	})
	if err != nil {
		return fmt.Errorf("rejected input: %w", err)
	}
	return nil
}

// EventID reads the tenant and the message id of an event's binary form without
// decoding the rest.
func EventID(data []byte) (tenant, messageID string, err error) {
	err = fields(string(data), func(f field) {
		switch f.num {
		case 1:
			messageID = f.s
		case 2:
			tenant = f.s
		}
	})
	if err != nil {
		return "", "", fmt.Errorf("event: %w", err)
	}
	return tenant, messageID, nil
}

// AppendBinary appends the receipt's binary form to b. It never fails.
func (r *Receipt) AppendBinary(b []byte) ([]byte, error) {
	b = appendString(b, 1, r.Tenant)
	b = appendString(b, 2, r.Provider)
	b = appendString(b, 3, r.Integration)
	b = appendInt(b, 4, r.ReceivedAt)
	b = appendString(b, 5, r.Headers)
	b = appendString(b, 6, r.Query)
	return appendString(b, 7, string(r.Body)), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (r *Receipt) UnmarshalBinary(data []byte) error {
	*r = Receipt{LogSeq: r.LogSeq}
	err := fields(string(data), func(f field) {
		switch f.num {
		case 1:
			r.Tenant = f.s
		case 2:
			r.Provider = f.s
		case 3:
			r.Integration = f.s
		case 4:
			r.ReceivedAt = int64(f.u) //nolint:gosec // two's complement
		case 5:
			r.Headers = f.s
		case 6:
			r.Query = f.s
		case 7:
			r.Body = []byte(f.s)
		}
	})
	if err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	return nil
}

// EventTenant reads the tenant out of an event's binary form without decoding
// the rest; "" when there is none or the form is broken.
func EventTenant(data []byte) string {
	const tag = 2<<3 | wireBytes
	for len(data) > 0 {
		if data[0]&7 != wireBytes || data[0] >= 0x80 || data[0] > tag {
			return "" // fields are written in order: the tenant is not there
		}
		size, n := binary.Uvarint(data[1:])
		if n <= 0 || size > uint64(len(data)-1-n) {
			return ""
		}
		value := data[1+n : 1+n+int(size)]
		if data[0] == tag {
			return string(value)
		}
		data = data[1+n+int(size):]
	}
	return ""
}
