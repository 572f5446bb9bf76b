package imports

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
)

// contentSpace is the namespace of the ids that are made of an event's content
// or place.
var contentSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://headless.ly/import")) //nolint:gochecknoglobals // a constant

// complete gives an event the values that all get, an id and, unless wanted
// otherwise, no way to a destination.
func (s *Source) complete(e Event, line int64) *Fault {
	for _, a := range s.set {
		if fault := a.assign(e, a.value); fault != nil {
			return fault
		}
	}
	// The source's clock was corrected, or not, when it took the event.
	for _, k := range []string{"sentAt", "receivedAt", "originalTimestamp"} {
		delete(e, k)
	}
	if v := first(e["ts"], e["timestamp"]); v != nil {
		at, fault := moment(v, "timestamp")
		if fault != nil {
			return fault
		}
		delete(e, "timestamp")
		e["ts"] = at
	}
	tidy(e)
	if word(e["messageId"]) == "" {
		delete(e, "messageId")
		content := fmt.Appendf(nil, "%s:%d", s.name, line)
		if !s.opts.LineIDs {
			raw, err := json.Marshal(e) // keys in order
			if err != nil {
				return faultf("invalid_json", "", "%v", err)
			}
			hash := sha256.Sum256(raw)
			content = hash[:]
		}
		e["messageId"] = uuid.NewSHA1(contentSpace, content).String()
	}
	if !s.opts.Forward {
		e["integrations"] = map[string]any{"All": false}
	}
	return nil
}
