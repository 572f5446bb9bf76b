package graph

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"iter"
	"strconv"
	"strings"
)

// derivedBits keep a derived id within [maxIDChars]; two of a million share one
// with a probability of one in a million.
const derivedBits = 59

// DerivedID gives the id of an entity that stands for something outside the
// graph, always the same for the same parts. It names one that may not be there
// yet, and goes into [Op].NewID when it is made.
func (s *Store) DerivedID(typ string, parts ...string) (string, error) {
	t, err := s.types.Lookup(typ)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	id, err := s.ids.codec.Encode(binary.LittleEndian.Uint64(sum[:8]) >> (64 - derivedBits))
	return t.IDPrefix() + id, err
}

// FollowType is [Store.Follow] for the events of one type, of every tenant. It
// costs little however many others there are.
func (s *Store) FollowType(ctx context.Context, typ string, after uint64) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		for {
			page, upTo, err := s.eventsOfType(ctx, typ, after)
			if err != nil {
				if ctx.Err() == nil && s.ctx.Err() == nil {
					yield(nil, err)
				}
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if after = upTo; len(page) == followPage {
				continue
			}
			if err := s.news(ctx, after); err != nil {
				return
			}
		}
	}
}

func (s *Store) eventsOfType(ctx context.Context, typ string, after uint64) (page []*Event, upTo uint64, err error) {
	p, release := s.view()
	defer release()
	upTo, _ = p.position()
	upTo = max(upTo, after)
	err = p.scan(ctx, func(r *sql.Rows) error {
		e, err := scanEvent(r)
		page = append(page, e)
		return err
	}, `select `+eventColumns+` from events e join tenants n on n.id = e.tenant where e.seq > ? and e.seq <= ? and e.name >= ? and e.name < ? order by e.seq limit `+strconv.Itoa(followPage),
		bounded(after), bounded(upTo), typ+".", typ+"/")
	if len(page) == followPage {
		upTo = page[len(page)-1].Seq
	}
	return page, upTo, err
}
