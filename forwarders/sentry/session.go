package sentry

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// session is the first update of a session, by which Sentry counts how many
// sessions a release has (release health).
type session struct {
	ID        string     `json:"sid"`
	Visitor   string     `json:"did,omitempty"`
	Init      bool       `json:"init"`
	Started   time.Time  `json:"started"`
	Timestamp time.Time  `json:"timestamp"`
	Status    string     `json:"status"`
	Errors    int        `json:"errors"`
	Attrs     attributes `json:"attrs"`
}

type attributes struct {
	Release     string `json:"release"`
	Environment string `json:"environment,omitempty"`
	UserAgent   string `json:"user_agent,omitempty"`
	IP          string `json:"ip_address,omitempty"`
}

// hasSession says whether an event begins a session that Sentry can count: it
// needs a release.
func hasSession(e *headlessly.Event) bool {
	return e.Type == headlessly.TypeSession && e.Release != "" && e.SessionID != ""
}

func marshalSession(e *headlessly.Event) ([]byte, error) {
	id, err := uuid.Parse(e.SessionID)
	if err != nil {
		id = uuid.NewSHA1(uuid.NameSpaceOID, []byte(e.Tenant+"\x00"+e.SessionID))
	}
	at := headlessly.Time(e.Timestamp)
	return json.Marshal(session{
		ID: id.String(), Visitor: payload.Visitor(e), Init: true, Started: at, Timestamp: at, Status: "ok",
		Attrs: attributes{Release: e.Release, Environment: e.Environment, UserAgent: e.UserAgent, IP: e.IP},
	})
}
