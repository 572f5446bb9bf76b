package config

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Size is a number of bytes, written as 128MB, 64GB or plain digits. The units
// are powers of 1024.
type Size int64

const (
	kb = 1 << 10
	mb = 1 << 20
	gb = 1 << 30
	tb = 1 << 40
)

// String writes the size with the largest unit that divides it.
func (s Size) String() string {
	n := int64(s)
	for _, u := range [...]struct {
		name string
		n    int64
	}{{"TB", tb}, {"GB", gb}, {"MB", mb}, {"KB", kb}} {
		if n >= u.n && n%u.n == 0 {
			return strconv.FormatInt(n/u.n, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalYAML implements yaml.Unmarshaler; a fault does not hide others.
func (s *Size) UnmarshalYAML(node *yaml.Node) error {
	text := strings.ToUpper(strings.TrimSpace(node.Value))
	unit := int64(1)
	for _, u := range [...]struct {
		name string
		n    int64
	}{{"TB", tb}, {"GB", gb}, {"MB", mb}, {"KB", kb}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = strings.TrimSpace(rest), u.n
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is no size: write it as 128MB or 64GB", node.Line, node.Value)}}
	}
	*s = Size(n * unit)
	return nil
}
