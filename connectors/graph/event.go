package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// Event is one mutation: what the log keeps for good.
type Event struct {
	ID      string // evt_…
	Name    string // Subscription.Cancelled
	Target  string // the entity's $id
	Tenant  string
	Actor   string
	Time    int64  // µs since the Unix epoch; never falls along the log
	Version int64  // the entity's version after it
	Seq     uint64 // total order; it grows, but not always by one
	// Data is the whole entity for the event that made it, else the changed
	// fields: {"status":{"before":"Active","after":"Cancelled"}}. A side that
	// is missing means that the field was not there.
	Data json.RawMessage
	// Deleted says that the entity is gone after it.
	Deleted bool
	// Cause is the event whose hook made this one, "" when there is none, and
	// Hops how many hooks stand before it.
	Cause string
	Hops  int
}

// EntityType is the type in the event's name.
func (e *Event) EntityType() string {
	t, _, _ := strings.Cut(e.Name, ".")
	return t
}

// MarshalJSON writes the event as every face shows it.
func (e *Event) MarshalJSON() ([]byte, error) {
	data := e.Data
	if len(data) == 0 {
		data = json.RawMessage("{}")
	}
	return encode(struct {
		ID        string          `json:"id"`
		Type      string          `json:"type"`
		Target    string          `json:"target"`
		Actor     string          `json:"actor"`
		Timestamp string          `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
		Tenant    string          `json:"tenant"`
		Version   int64           `json:"version"`
		Seq       uint64          `json:"seq"`
		Cause     string          `json:"cause,omitempty"`
	}{e.ID, e.Name, e.Target, e.Actor, FormatTime(e.Time), data, e.Tenant, e.Version, e.Seq, e.Cause})
}

// change is one field's values around a mutation; nil where the field is not
// there (null is never stored).
type change struct {
	Before any `json:"before,omitempty"`
	After  any `json:"after,omitempty"`
}

// diff gives the changed fields.
func diff(before, after map[string]any) map[string]change {
	out := map[string]change{}
	for k, b := range before {
		if a, ok := after[k]; !ok || !equal(a, b) {
			out[k] = change{Before: b, After: a}
		}
	}
	for k, a := range after {
		if _, ok := before[k]; !ok {
			out[k] = change{After: a}
		}
	}
	return out
}

// stored is an event as the log holds it. What the subject says (tenant, type,
// target) is not repeated.
type stored struct {
	ID      string          `json:"id"`
	Event   string          `json:"e"`
	Actor   string          `json:"a"`
	Time    int64           `json:"t"`
	Version int64           `json:"v"`
	Data    json.RawMessage `json:"d,omitempty"`
	Whole   bool            `json:"w,omitempty"` // Data is the whole entity
	Deleted bool            `json:"x,omitempty"` // the entity is gone after it
	Cause   string          `json:"c,omitempty"`
	Hops    int             `json:"h,omitempty"`
}

// reservation is a unique value's state as the log holds it.
type reservation struct {
	Value any    `json:"value"`
	Owner string `json:"owner,omitempty"` // "" once it is free again
}

// A message of the log is "1 " + CRC-32C in hex + " " + JSON: readable with
// any tool, and a flipped bit shows.
const (
	messageVersion = '1'
	messagePrefix  = len("1 01234567 ")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("message is damaged")

func seal(v any) ([]byte, error) {
	raw, err := encode(v)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, messagePrefix+len(raw))
	b = fmt.Appendf(b, "%c %08x ", messageVersion, crc32.Checksum(raw, castagnoli))
	return append(b, raw...), nil
}

// unseal checks a message and gives its JSON.
func unseal(b []byte) ([]byte, error) {
	if len(b) < messagePrefix || b[1] != ' ' || b[messagePrefix-1] != ' ' {
		return nil, errDamaged
	}
	if b[0] != messageVersion {
		return nil, fmt.Errorf("message has version %q, this program reads %q", b[0], messageVersion)
	}
	sum, err := strconv.ParseUint(string(b[2:messagePrefix-1]), 16, 32)
	if err != nil || uint32(sum) != crc32.Checksum(b[messagePrefix:], castagnoli) {
		return nil, errDamaged
	}
	return b[messagePrefix:], nil
}
