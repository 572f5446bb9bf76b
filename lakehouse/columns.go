package lakehouse

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/google/uuid"
)

// column is one column of a table made from rows of type T: its Iceberg
// identity and how a row's value gets into an Arrow array.
type column[T any] struct {
	id       int
	name     string
	typ      iceberg.Type
	required bool
	plain    bool // too many distinct values for a dictionary to pay
	stats    bool // bounds in the manifest, for pruning

	// writer makes something that collects values, of the type that the column
	// has in the table.
	writer func(mem memory.Allocator, t arrow.DataType) columnWriter[T]
}

// columnWriter collects the values of one column of one record batch.
type columnWriter[T any] struct {
	add    func(*T)
	finish func() arrow.Array // gives what was added and begins anew
}

func (c column[T]) must() column[T]     { c.required = true; return c }
func (c column[T]) distinct() column[T] { c.plain = true; return c }
func (c column[T]) bounded() column[T]  { c.stats = true; return c }

// scalars makes a column's writer from an Arrow builder and a way to append.
func scalars[T any, B array.Builder](appender func(B) func(*T)) func(memory.Allocator, arrow.DataType) columnWriter[T] {
	return func(mem memory.Allocator, t arrow.DataType) columnWriter[T] {
		b := array.NewBuilder(mem, t)
		return columnWriter[T]{add: appender(b.(B)), finish: b.NewArray}
	}
}

// texts makes a text column's writer: dictionary-encoded where the column's
// Arrow type says so.
func texts[T any](get func(*T) string, null bool) func(memory.Allocator, arrow.DataType) columnWriter[T] {
	return func(mem memory.Allocator, t arrow.DataType) columnWriter[T] {
		if d, ok := t.(*arrow.DictionaryType); ok {
			w := newDictionaryWriter(mem, d)
			return columnWriter[T]{finish: w.finish, add: func(row *T) { w.add(get(row), null) }}
		}
		b := array.NewStringBuilder(mem)
		return columnWriter[T]{finish: b.NewArray, add: func(row *T) {
			if s := get(row); s != "" || !null {
				b.Append(validText(s))
			} else {
				b.AppendNull()
			}
		}}
	}
}

// text is a string column in which the empty text is null.
func text[T any](id int, name string, get func(*T) string) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.String, writer: texts(get, true)}
}

// name is a string column that is never null.
func name[T any](id int, col string, get func(*T) string) column[T] {
	return column[T]{id: id, name: col, typ: iceberg.PrimitiveTypes.String, required: true, writer: texts(get, false)}
}

func bytesOf[T any](id int, name string, get func(*T) []byte) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Binary, writer: scalars(func(b *array.BinaryBuilder) func(*T) {
		return func(row *T) {
			if v := get(row); v != nil {
				b.Append(v)
			} else {
				b.AppendNull()
			}
		}
	})}
}

func flag[T any](id int, name string, get func(*T) bool) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Bool, writer: scalars(func(b *array.BooleanBuilder) func(*T) {
		return func(row *T) { b.Append(get(row)) }
	})}
}

// maybe is a truth value; get's second result is false for null.
func maybe[T any](id int, name string, get func(*T) (bool, bool)) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Bool, writer: scalars(func(b *array.BooleanBuilder) func(*T) {
		return func(row *T) {
			if v, ok := get(row); ok {
				b.Append(v)
			} else {
				b.AppendNull()
			}
		}
	})}
}

// long is a 64-bit integer; get's second result is false for null.
func long[T any](id int, name string, get func(*T) (int64, bool)) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Int64, writer: scalars(func(b *array.Int64Builder) func(*T) {
		return func(row *T) {
			if v, ok := get(row); ok {
				b.Append(v)
			} else {
				b.AppendNull()
			}
		}
	})}
}

// pixels is a 32-bit integer; zero and what does not fit is null.
func pixels[T any](id int, name string, get func(*T) int64) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Int32, writer: scalars(func(b *array.Int32Builder) func(*T) {
		return func(row *T) {
			if v := get(row); v != 0 && v >= math.MinInt32 && v <= math.MaxInt32 {
				b.Append(int32(v))
			} else {
				b.AppendNull()
			}
		}
	})}
}

func double[T any](id int, name string, get func(*T) (float64, bool)) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.Float64, writer: scalars(func(b *array.Float64Builder) func(*T) {
		return func(row *T) {
			if v, ok := get(row); ok {
				b.Append(v)
			} else {
				b.AppendNull()
			}
		}
	})}
}

// Times outside the years 1 to 9999 break readers in other languages.
const (
	minTime = -62135596800000000 // 0001-01-01T00:00:00Z in µs
	maxTime = 253402300799999999 // 9999-12-31T23:59:59.999999Z in µs
)

// instant is a timestamptz in µs; zero and what no calendar holds is null.
func instant[T any](id int, name string, get func(*T) int64) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.TimestampTz, writer: scalars(func(b *array.TimestampBuilder) func(*T) {
		return func(row *T) {
			if v := get(row); v != 0 && v >= minTime && v <= maxTime {
				b.Append(arrow.Timestamp(v))
			} else {
				b.AppendNull()
			}
		}
	})}
}

// revenueLimit is the first number that decimal(18,4) can't hold.
const revenueLimit = 1_000_000_000_000_000_000

func money[T any](id int, name string, get func(*T) (int64, bool)) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.DecimalTypeOf(18, 4), writer: scalars(func(b *array.Decimal128Builder) func(*T) {
		return func(row *T) {
			if v, ok := get(row); ok && v > -revenueLimit && v < revenueLimit {
				b.Append(decimal128.FromI64(v))
			} else {
				b.AppendNull()
			}
		}
	})}
}

func identifier[T any](id int, name string, get func(*T) uuid.UUID) column[T] {
	return column[T]{id: id, name: name, typ: iceberg.PrimitiveTypes.UUID, writer: scalars(func(b *extensions.UUIDBuilder) func(*T) {
		return func(row *T) { b.Append(get(row)) }
	})}
}
