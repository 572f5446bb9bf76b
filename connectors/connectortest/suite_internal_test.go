package connectortest

import (
	"context"
	"testing"

	"github.com/headlessly/headlessly/connectors"
)

func TestACaseIsLeftOutWithAReasonOnly(t *testing.T) {
	for _, c := range []struct {
		name     string
		applies  bool
		without  map[Case]string
		at, left bool
	}{
		{"it applies", true, nil, false, false},
		{"it applies, and is declared not to", true, map[Case]string{Sends: "no"}, true, false},
		{"it does not, and nothing says why", false, nil, true, false},
		{"it does not, and an empty text says why", false, map[Case]string{Sends: ""}, true, false},
		{"it does not, for a reason", false, map[Case]string{Sends: "it sends nothing"}, false, true},
	} {
		if fault, skip := judge(c.applies, c.without, Sends); (fault != "") != c.at || skip != c.left {
			t.Errorf("%s: got %q, %v", c.name, fault, skip)
		}
	}
}

// sink attaches and does nothing.
type sink struct{ connectors.Connector }

func (sink) Attach(context.Context, *connectors.Link) (func(), error) { return func() {}, nil }

func TestASubjectCoversWhatItsConnectorImplements(t *testing.T) {
	if got := (&Subject{}).covered(sink{}); len(got) != 1 {
		t.Errorf("got %q, want one that names Attach", got)
	}
	if got := (&Subject{InUse: func() bool { return true }}).covered(sink{}); len(got) != 0 {
		t.Errorf("got %q, want nothing missing", got)
	}
}
