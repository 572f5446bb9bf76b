package lakehouse

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"
)

// typeUUID and typeJSON are the result types that Arrow alone can't tell from
// others.
const (
	typeUUID = "UUID"
	typeJSON = "JSON"
)

// scalar renders what is one word in every format. quote says whether JSON
// has it as text; ok is false for null and for what is no scalar.
func scalar(b []byte, a arrow.Array, i int, typ string) (out []byte, quote, ok bool) {
	switch a := a.(type) {
	case *array.Boolean:
		return strconv.AppendBool(b, a.Value(i)), false, true
	case *array.Int8:
		return strconv.AppendInt(b, int64(a.Value(i)), 10), false, true
	case *array.Int16:
		return strconv.AppendInt(b, int64(a.Value(i)), 10), false, true
	case *array.Int32:
		return strconv.AppendInt(b, int64(a.Value(i)), 10), false, true
	case *array.Int64:
		return strconv.AppendInt(b, a.Value(i), 10), false, true
	case *array.Uint8:
		return strconv.AppendUint(b, uint64(a.Value(i)), 10), false, true
	case *array.Uint16:
		return strconv.AppendUint(b, uint64(a.Value(i)), 10), false, true
	case *array.Uint32:
		return strconv.AppendUint(b, uint64(a.Value(i)), 10), false, true
	case *array.Uint64:
		return strconv.AppendUint(b, a.Value(i), 10), false, true
	case *array.Float32:
		return appendFloat(b, float64(a.Value(i)), 32)
	case *array.Float64:
		return appendFloat(b, a.Value(i), 64)
	case *array.Decimal128:
		t := a.DataType().(*arrow.Decimal128Type)
		return append(b, a.Value(i).ToString(t.Scale)...), false, true
	case *array.Date32:
		return a.Value(i).ToTime().AppendFormat(b, time.DateOnly), true, true
	case *array.Time64:
		t := a.DataType().(*arrow.Time64Type)
		return a.Value(i).ToTime(t.Unit).AppendFormat(b, "15:04:05.999999999"), true, true
	case *array.Timestamp:
		t := a.DataType().(*arrow.TimestampType)
		layout := "2006-01-02T15:04:05.999999999"
		if t.TimeZone != "" {
			layout += "Z"
		}
		return a.Value(i).ToTime(t.Unit).AppendFormat(b, layout), true, true
	case *array.FixedSizeBinary:
		if v := a.Value(i); typ == typeUUID && len(v) == 16 {
			return append(b, uuid.UUID(v).String()...), true, true
		}
	case array.ExtensionArray:
		if typ == typeUUID || a.ExtensionType().ExtensionName() == "arrow.uuid" {
			return scalar(b, a.Storage(), i, typeUUID)
		}
		return scalar(b, a.Storage(), i, typ)
	}
	return b, false, false
}

func appendFloat(b []byte, v float64, bits int) ([]byte, bool, bool) {
	switch {
	case math.IsNaN(v):
		return append(b, "NaN"...), true, true
	case math.IsInf(v, 1):
		return append(b, "Infinity"...), true, true
	case math.IsInf(v, -1):
		return append(b, "-Infinity"...), true, true
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, bits), false, true
}

// appendJSON appends a value as JSON.
func appendJSON(b []byte, a arrow.Array, i int, typ string) []byte {
	if a.IsNull(i) {
		return append(b, "null"...)
	}
	start := len(b)
	if out, quote, ok := scalar(b, a, i, typ); ok {
		if !quote {
			return out
		}
		text := string(out[start:])
		return appendJSONText(out[:start], text)
	}
	switch a := a.(type) {
	case *array.String:
		if v := a.Value(i); typ != typeJSON || !json.Valid([]byte(v)) {
			return appendJSONText(b, v)
		}
		return append(b, a.Value(i)...)
	case *array.LargeString:
		return appendJSONText(b, a.Value(i))
	case *array.Binary:
		return appendJSONText(b, base64.StdEncoding.EncodeToString(a.Value(i)))
	case *array.FixedSizeBinary:
		return appendJSONText(b, base64.StdEncoding.EncodeToString(a.Value(i)))
	case *array.Map:
		return appendJSONMap(b, a, i)
	case array.ListLike:
		from, to := a.ValueOffsets(i)
		b = append(b, '[')
		for j := from; j < to; j++ {
			if j > from {
				b = append(b, ',')
			}
			b = appendJSON(b, a.ListValues(), int(j), "")
		}
		return append(b, ']')
	case *array.Struct:
		t := a.DataType().(*arrow.StructType)
		b = append(b, '{')
		for j := range a.NumField() {
			if j > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONText(b, t.Field(j).Name), ':')
			b = appendJSON(b, a.Field(j), i, "")
		}
		return append(b, '}')
	}
	return appendJSONText(b, a.ValueStr(i))
}

func appendJSONMap(b []byte, a *array.Map, i int) []byte {
	from, to := a.ValueOffsets(i)
	b = append(b, '{')
	for j := from; j < to; j++ {
		if j > from {
			b = append(b, ',')
		}
		key, _ := cellText(a.Keys(), int(j), "")
		b = append(appendJSONText(b, key), ':')
		b = appendJSON(b, a.Items(), int(j), "")
	}
	return append(b, '}')
}

func appendJSONText(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return append(b, `""`...)
	}
	return append(b, text...)
}

// cellText renders a value as plain text; ok is false for null.
func cellText(a arrow.Array, i int, typ string) (s string, ok bool) {
	if a.IsNull(i) {
		return "", false
	}
	if out, _, ok := scalar(nil, a, i, typ); ok {
		return string(out), true
	}
	switch a := a.(type) {
	case *array.String:
		return a.Value(i), true
	case *array.LargeString:
		return a.Value(i), true
	case *array.Binary:
		if v := a.Value(i); utf8.Valid(v) {
			return string(v), true
		}
		return `\x` + hex.EncodeToString(a.Value(i)), true
	case *array.FixedSizeBinary:
		return `\x` + hex.EncodeToString(a.Value(i)), true
	}
	return string(appendJSON(nil, a, i, typ)), true
}
