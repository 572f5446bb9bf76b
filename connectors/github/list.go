package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	gh "github.com/google/go-github/v89/github"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
)

// go-github reads a list as a whole: one object of a form that it does not know
// costs the ninety-nine others of the page, and the sync. Lists that a sync
// reads are taken apart first.

// listed is one page of a list.
type listed[T any] struct {
	items []*T
	odd   []error   // of those that cannot be read
	count int       // both
	last  time.Time // when the last one changed, zero where it does not say
	next  int       // the number of the next page, 0 after the last
}

// rawList is what GitHub answers where a list is within an object.
type rawList interface{ list() []json.RawMessage }

// installed is the answer to installation/repositories.
type installed struct {
	Repositories []json.RawMessage `json:"repositories"`
}

func (i *installed) list() []json.RawMessage { return i.Repositories }

// plain is a list that is the whole answer.
type plain []json.RawMessage

func (p *plain) list() []json.RawMessage { return *p }

// list reads a page; in is nil where the list is the whole answer.
func list[T any](ctx context.Context, client *gh.Client, path string, q url.Values, page int, in rawList) (out listed[T], err error) {
	q.Set("per_page", strconv.Itoa(perPage))
	q.Set("page", strconv.Itoa(page))
	req, err := client.NewRequest(ctx, http.MethodGet, path+"?"+q.Encode(), nil)
	if err != nil {
		return out, err
	}
	if in == nil {
		in = &plain{}
	}
	res, err := client.Do(req, in)
	if err != nil {
		return out, err
	}
	out.next = res.NextPage
	for _, raw := range in.list() {
		out.count++
		var changed struct {
			ID        any       `json:"id"`
			UpdatedAt time.Time `json:"updated_at"`
		}
		_ = json.Unmarshal(raw, &changed) // what it does not say stays zero
		out.last = changed.UpdatedAt
		item := new(T)
		if err := json.Unmarshal(raw, item); err != nil {
			out.odd = append(out.odd, &headlessly.Permanent{Err: fmt.Errorf("read %s of GitHub, number %v: %w", path, changed.ID, err)})
			continue
		}
		out.items = append(out.items, item)
	}
	return out, nil
}

// unreadable stand for objects that could not be read: the sync tells of them
// and goes on.
func unreadable(l *connectors.Link, typ string, odd []error) (out []connectors.Change) {
	for _, err := range odd {
		l.Logger.Warn("github.object", "error", err)
		out = append(out, connectors.Change{Type: typ, Key: keyID, ID: "unreadable", Again: func(context.Context) (connectors.Change, error) { return connectors.Change{}, err }})
	}
	return out
}
