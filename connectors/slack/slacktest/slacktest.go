// Package slacktest stands in for Slack's incoming webhooks in tests: it
// refuses what Slack refuses, with Slack's words.
package slacktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
)

// Path and Path2 are the paths of the webhooks that there are.
const (
	Path  = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
	Path2 = "/services/T00000000/B00000001/YYYYYYYYYYYYYYYYYYYYYYYY"
)

// Message is what was posted.
type Message struct {
	Text   string  `json:"text"`
	Blocks []Block `json:"blocks"`
}

// Block is one of Block Kit's.
type Block struct {
	Type     string `json:"type"`
	Text     *Text  `json:"text"`
	Fields   []Text `json:"fields"`
	Elements []Text `json:"elements"`
}

// Text is a text object.
type Text struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim"`
	Emoji    bool   `json:"emoji"`
}

// Slack is an http.Handler. It takes one message a second, by its clock.
type Slack struct {
	Clock headlessly.Clock

	mu      sync.Mutex
	last    time.Time
	posted  []Message
	limited int
	revoked string
	removed map[string]bool // paths
	fail    int
}

// Posted gives the messages that a channel would show, oldest first.
func (s *Slack) Posted() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.posted...)
}

// Limited says how many messages came too soon.
func (s *Slack) Limited() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limited
}

// Revoke makes the webhook unknown, with Slack's word for it; "" undoes it.
func (s *Slack) Revoke(word string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = word
}

// RevokePath takes one of the webhooks away.
func (s *Slack) RevokePath(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed == nil {
		s.removed = map[string]bool{}
	}
	s.removed[path] = true
}

// Fail has the next n messages answered 500.
func (s *Slack) Fail(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = n
}

// ServeHTTP implements http.Handler.
func (s *Slack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	answer := func(status int, word string) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, word)
	}
	switch {
	case err != nil || r.Method != http.MethodPost:
		answer(http.StatusBadRequest, "invalid_payload")
	case s.removed[r.URL.Path]:
		answer(http.StatusNotFound, "no_service")
	case r.URL.Path != Path && r.URL.Path != Path2:
		answer(http.StatusForbidden, "invalid_token")
	case s.revoked != "":
		answer(map[string]int{"no_service": 404, "channel_is_archived": 410, "action_prohibited": 403}[s.revoked], s.revoked)
	case s.fail > 0:
		s.fail--
		answer(http.StatusInternalServerError, "rollup_error")
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		answer(http.StatusBadRequest, "invalid_payload")
	default:
		status, word := s.take(w, body)
		answer(status, word)
	}
}

func (s *Slack) take(w http.ResponseWriter, body []byte) (int, string) {
	var m Message
	if json.Unmarshal(body, &m) != nil {
		return http.StatusBadRequest, "invalid_payload"
	}
	if m.Text == "" && len(m.Blocks) == 0 {
		return http.StatusBadRequest, "no_text"
	}
	if err := check(m.Blocks); err != nil {
		return http.StatusBadRequest, "invalid_blocks: " + err.Error()
	}
	now := s.Clock()
	if now.Sub(s.last) < time.Second {
		s.limited++
		w.Header().Set("Retry-After", "30")
		return http.StatusTooManyRequests, "rate_limited"
	}
	s.last = now
	s.posted = append(s.posted, m)
	return http.StatusOK, "ok"
}

// check refuses blocks that Slack does not render.
func check(blocks []Block) error {
	if len(blocks) > 50 {
		return fmt.Errorf("%d blocks, at most 50", len(blocks))
	}
	for i, b := range blocks {
		var err error
		switch b.Type {
		case "section":
			switch {
			case b.Text == nil && len(b.Fields) == 0:
				err = fmt.Errorf("a section needs text or fields")
			case b.Text != nil:
				err = checkText(*b.Text, 3000)
			}
			if len(b.Fields) > 10 {
				err = fmt.Errorf("%d fields, at most 10", len(b.Fields))
			}
			for _, f := range b.Fields {
				if e := checkText(f, 2000); e != nil {
					err = e
				}
			}
		case "context":
			if len(b.Elements) == 0 || len(b.Elements) > 10 {
				err = fmt.Errorf("%d elements, want 1 to 10", len(b.Elements))
			}
			for _, e := range b.Elements {
				if f := checkText(e, 3000); f != nil {
					err = f
				}
			}
		case "divider":
		default:
			err = fmt.Errorf("unknown type %q", b.Type)
		}
		if err != nil {
			return fmt.Errorf("blocks[%d]: %w", i, err)
		}
	}
	return nil
}

func checkText(t Text, most int) error {
	switch {
	case t.Type != "mrkdwn" && t.Type != "plain_text":
		return fmt.Errorf("unknown text type %q", t.Type)
	case t.Text == "":
		return fmt.Errorf("empty text")
	case len([]rune(t.Text)) > most:
		return fmt.Errorf("%d characters, at most %d", len([]rune(t.Text)), most)
	case t.Type == "plain_text" && t.Verbatim:
		return fmt.Errorf("verbatim goes with mrkdwn only")
	}
	return nil
}
