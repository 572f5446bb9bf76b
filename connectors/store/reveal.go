package store

import (
	"reflect"
	"strings"

	"github.com/headlessly/headlessly"
)

// reveal turns a value into what encoding/json writes for it, but with the
// secrets in clear: only what goes into the seal may pass through here.
func reveal(v reflect.Value) any {
	if s, ok := v.Interface().(headlessly.Secret); ok {
		return s.Reveal()
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return reveal(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
				out[name] = reveal(v.Field(i))
			}
		}
		return out
	case reflect.Map:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[k.String()] = reveal(v.MapIndex(k))
		}
		return out
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = reveal(v.Index(i))
		}
		return out
	default:
		return v.Interface()
	}
}
