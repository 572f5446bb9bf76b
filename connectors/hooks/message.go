package hooks

import (
	"encoding/json"

	"github.com/coder/websocket"

	"github.com/headlessly/headlessly/connectors/graph"
)

// Close codes.
const (
	closeProtocol     websocket.StatusCode = 4400
	closeUnauthorized websocket.StatusCode = 4401
	closeForbidden    websocket.StatusCode = 4403
	closeNoTenant     websocket.StatusCode = 4404
	closeReplaced     websocket.StatusCode = 4409
	closeTooMany      websocket.StatusCode = 4429
)

// version is the protocol's.
const version = 1

// incoming is any message of a client.
type incoming struct {
	Type       string                     `json:"type"`
	Version    int                        `json:"version"`
	Key        string                     `json:"key"`
	Client     string                     `json:"client"`
	ID         string                     `json:"id"`
	Hook       string                     `json:"hook"`
	Name       string                     `json:"name"`
	Missing    string                     `json:"missing"`
	DeadlineMs int64                      `json:"deadlineMs"`
	Forget     bool                       `json:"forget"`
	CallID     string                     `json:"callId"`
	Patch      map[string]json.RawMessage `json:"patch"`
	Veto       *string                    `json:"veto"`
	Seq        uint64                     `json:"seq"`
	Error      string                     `json:"error"`
}

type welcome struct {
	Type     string `json:"type"`
	Version  int    `json:"version"`
	Tenant   string `json:"tenant"`
	Actor    string `json:"actor"`
	PingMs   int64  `json:"pingMs"`
	MaxBytes int    `json:"maxBytes"`
}

type registered struct {
	Type       string      `json:"type"`
	ID         string      `json:"id"`
	Hook       string      `json:"hook"`
	Phase      graph.Phase `json:"phase"`
	Name       string      `json:"name,omitempty"`
	DeadlineMs int64       `json:"deadlineMs"`
}

type unregistered struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

type pong struct {
	Type string `json:"type"`
}

type fault struct {
	Type   string `json:"type"`
	ID     string `json:"id,omitempty"`
	CallID string `json:"callId,omitempty"`
	*graph.Error
}

type before struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	CallID string `json:"callId"`
	*graph.BeforeCall
}

type after struct {
	Type    string        `json:"type"`
	ID      string        `json:"id"`
	Seq     uint64        `json:"seq"`
	Attempt int           `json:"attempt"`
	Cause   string        `json:"cause"`
	Event   *graph.Event  `json:"event"`
	Entity  *graph.Entity `json:"entity"`
}
