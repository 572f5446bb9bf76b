package enrich

import (
	"time"

	"github.com/headlessly/headlessly"
)

// Skew sets ReceivedAt and Timestamp. With a SentAt the client's clock is
// corrected: timestamp = receivedAt − (sentAt − ts). Without one the client's
// time is taken as it is, unless it lies in the future, which no event does:
// then it is the time of receipt. The client's own readings stay in OriginalTS
// and SentAt.
func Skew(e *headlessly.Event, receivedAt time.Time) {
	e.ReceivedAt = receivedAt.UnixMicro()
	if e.OriginalTS == 0 {
		e.Timestamp = e.ReceivedAt
		return
	}
	e.Timestamp = e.OriginalTS
	if e.SentAt != 0 {
		e.Timestamp = e.ReceivedAt - (e.SentAt - e.OriginalTS)
	}
	if e.Timestamp > e.ReceivedAt {
		e.Timestamp = e.ReceivedAt
	}
}
