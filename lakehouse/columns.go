package lakehouse

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/iceberg-go"
	"github.com/google/uuid"
)

// column is one column of a table made from rows of type T: its Iceberg
// identity and how a row's value gets into an Arrow builder.
type column[T any] struct {
	id       int
	name     string
	typ      iceberg.Type
	required bool
	plain    bool // too many distinct values for a dictionary to pay
	stats    bool // bounds in the manifest, for pruning
	bind     func(array.Builder) func(*T)
}

func (c column[T]) must() column[T]     { c.required = true; return c }
func (c column[T]) distinct() column[T] { c.plain = true; return c }
func (c column[T]) bounded() column[T]  { c.stats = true; return c }

func text[T any](id int, name string, get func(*T) string) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.String, bind: func(b array.Builder) func(*T) {
		sb := b.(*array.StringBuilder)
		return func(row *T) {
			if s := get(row); s != "" {
				sb.Append(validText(s))
			} else {
				sb.AppendNull()
			}
		}
	}}
}

// name is a text that is never null.
func name[T any](id int, col string, get func(*T) string) column[T] {
	return column[T]{id: id, name: col, typ: iceberg.PrimitiveTypes.String, required: true, bind: func(b array.Builder) func(*T) {
		sb := b.(*array.StringBuilder)
		return func(row *T) { sb.Append(validText(get(row))) }
	}}
}

func bytesOf[T any](id int, name string, get func(*T) []byte) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Binary, bind: func(b array.Builder) func(*T) {
		bb := b.(*array.BinaryBuilder)
		return func(row *T) {
			if v := get(row); v != nil {
				bb.Append(v)
			} else {
				bb.AppendNull()
			}
		}
	}}
}

func flag[T any](id int, name string, get func(*T) bool) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Bool, bind: func(b array.Builder) func(*T) {
		bb := b.(*array.BooleanBuilder)
		return func(row *T) { bb.Append(get(row)) }
	}}
}

// long is a 64-bit integer; get's second result is false for null.
func long[T any](id int, name string, get func(*T) (int64, bool)) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Int64, bind: func(b array.Builder) func(*T) {
		ib := b.(*array.Int64Builder)
		return func(row *T) {
			if v, ok := get(row); ok {
				ib.Append(v)
			} else {
				ib.AppendNull()
			}
		}
	}}
}

// pixels is a 32-bit integer; zero and what does not fit is null.
func pixels[T any](id int, name string, get func(*T) int64) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Int32, bind: func(b array.Builder) func(*T) {
		ib := b.(*array.Int32Builder)
		return func(row *T) {
			if v := get(row); v != 0 && v >= math.MinInt32 && v <= math.MaxInt32 {
				ib.Append(int32(v))
			} else {
				ib.AppendNull()
			}
		}
	}}
}

func double[T any](id int, name string, get func(*T) (float64, bool)) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Float64, bind: func(b array.Builder) func(*T) {
		fb := b.(*array.Float64Builder)
		return func(row *T) {
			if v, ok := get(row); ok {
				fb.Append(v)
			} else {
				fb.AppendNull()
			}
		}
	}}
}

// Times outside the years 1 to 9999 break readers in other languages.
const (
	minTime = -62135596800000000 // 0001-01-01T00:00:00Z in µs
	maxTime = 253402300799999999 // 9999-12-31T23:59:59.999999Z in µs
)

// instant is a timestamptz in µs; zero and what no calendar holds is null.
func instant[T any](id int, name string, get func(*T) int64) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.TimestampTz, bind: func(b array.Builder) func(*T) {
		tb := b.(*array.TimestampBuilder)
		return func(row *T) {
			if v := get(row); v != 0 && v >= minTime && v <= maxTime {
				tb.Append(arrow.Timestamp(v))
			} else {
				tb.AppendNull()
			}
		}
	}}
}

// revenueLimit is the first number that decimal(18,4) can't hold.
const revenueLimit = 1_000_000_000_000_000_000

func money[T any](id int, name string, get func(*T) (int64, bool)) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.DecimalTypeOf(18, 4), bind: func(b array.Builder) func(*T) {
		db := b.(*array.Decimal128Builder)
		return func(row *T) {
			if v, ok := get(row); ok && v > -revenueLimit && v < revenueLimit {
				db.Append(decimal128.FromI64(v))
			} else {
				db.AppendNull()
			}
		}
	}}
}

func identifier[T any](id int, name string, get func(*T) uuid.UUID) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.UUID, bind: func(b array.Builder) func(*T) {
		switch ub := b.(type) {
		case *extensions.UUIDBuilder:
			return func(row *T) { ub.Append(get(row)) }
		default:
			fb := b.(*array.FixedSizeBinaryBuilder)
			return func(row *T) { v := get(row); fb.Append(v[:]) }
		}
	}}
}
