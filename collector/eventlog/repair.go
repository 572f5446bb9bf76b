package eventlog

import (
	"bytes"
	"slices"
	"strings"
)

// A block that fails its checks is taken apart and put together again without
// the damage. The server, left alone, would cut it off at the first damaged
// record and lose everything behind it.

// streamKind is what is known about the messages of a stream.
type streamKind struct {
	name     string
	subjects []string                  // prefixes
	idAt     int                       // where a payload carries the log's id
	frames   string                    // the one subject of frames, "" where payloads are none
	sound    func(payload []byte) bool // of a lent stream; nil for the log's own
}

// kinds are the streams that are searched for damage.
func (c *Config) kinds(n names) []streamKind {
	list := n.kinds()
	for _, s := range c.Lent {
		list = append(list, streamKind{name: s.Name, subjects: []string{s.Subject}, sound: s.Sound})
	}
	return list
}

func (n names) kinds() []streamKind {
	return []streamKind{
		{name: n.events, subjects: []string{n.subject}, idAt: offLogID, frames: n.subject},
		{name: n.cursors, subjects: []string{n.cursor}, idAt: 1},
		{name: n.parked, subjects: []string{n.park, n.gone}, idAt: 1},
	}
}

// fits checks what the server's hash leaves out: where the subject ends.
func (k streamKind) fits(rec blockRecord) bool {
	if rec.special {
		return true
	}
	if k.frames != "" {
		return string(rec.subject) == k.frames
	}
	for _, c := range rec.subject {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	if !slices.ContainsFunc(k.subjects, func(s string) bool { return strings.HasPrefix(string(rec.subject), s) }) {
		return false
	}
	if k.sound != nil {
		return k.sound(rec.payload)
	}
	return len(rec.payload) > k.idAt && rec.payload[0] == packVersion
}

// repaired is what became of one damaged block.
type repaired struct {
	data  []byte // the new content
	kept  uint64 // messages in it that stand behind the first damage
	lost  uint64 // messages missing between sound ones
	holes int    // damaged places
	tail  int    // bytes at the end that hold no sound record
	next  uint64 // the sequence behind the last sound message
}

// repairer works on one block.
type repairer struct {
	hash blockHasher
	id   logID
	kind streamKind
	buf  []byte
	out  repaired
	last uint64 // sequence of the newest record kept
	time int64  // its time
}

// repair goes over the block; prev is the last sequence before it, or 0.
func (r *repairer) repair(prev uint64) repaired {
	r.last = prev
	off, hurt := 0, false
	for off < len(r.buf) {
		if rec, err := parseBlock(r.buf[off:]); err == nil && r.sound(rec) {
			r.keep(rec.raw, rec, hurt)
			off += rec.size
			continue
		}
		r.out.holes++
		hurt = true
		next, made := r.resync(off)
		if next < 0 {
			r.out.tail = len(r.buf) - off
			break
		}
		off = next
		if made != nil {
			rec, err := parseBlock(made)
			if err != nil {
				break
			}
			r.keep(made, rec, true)
			off += rec.size
		}
	}
	r.out.next = r.last + 1
	return r.out
}

func (r *repairer) keep(raw []byte, rec blockRecord, hurt bool) {
	r.out.data = append(r.out.data, raw...)
	if rec.special {
		return
	}
	if hurt {
		r.out.kept++
		if r.last > 0 && rec.seq > r.last+1 {
			r.out.lost += rec.seq - r.last - 1
		}
	}
	r.last, r.time = max(rec.seq, r.last), rec.time
}

// resync finds where records go on behind damage at off: -1 where they do not.
// A frame that is whole inside a damaged record comes with a new record for it.
//
// Only records whose payload carries the log's secret id count: a payload may
// hold bytes that a client has made up to look like a record.
func (r *repairer) resync(off int) (next int, made []byte) {
	// The damaged record's own length may still be right.
	if rec, err := parseBlock(r.buf[off:]); err == nil {
		if after, err := parseBlock(r.buf[off+rec.size:]); err == nil && r.sound(after) && r.trusted(after) {
			if made := r.rebuild(off, off+rec.size); made != nil {
				return off, made
			}
			return off + rec.size, nil
		}
	}
	if r.kind.sound != nil {
		return r.scan(off + 1), nil
	}
	for at := off; ; at++ {
		i := bytes.Index(r.buf[at:], r.id[:])
		if i < 0 {
			return -1, nil
		}
		at += i
		if start, made := r.recordAround(at, off); start >= 0 {
			return start, made
		}
	}
}

// sound says whether a record is as it was written.
func (r *repairer) sound(rec blockRecord) bool { return r.hash.sound(rec) && r.kind.fits(rec) }

// scan finds the next sound record of a lent stream, -1 where there is none.
// Its payloads hold no zero byte and every record does, so a payload holds none.
func (r *repairer) scan(from int) int {
	for at := from; at+blockMin <= len(r.buf); at++ {
		if rec, err := parseBlock(r.buf[at:]); err == nil && !rec.special && r.sound(rec) {
			return at
		}
	}
	return -1
}

func (r *repairer) trusted(rec blockRecord) bool {
	return rec.special || r.kind.sound != nil || len(rec.payload) >= r.kind.idAt+len(r.id) && bytes.Equal(rec.payload[r.kind.idAt:r.kind.idAt+len(r.id)], r.id[:])
}

// recordAround looks for the record whose payload carries the id at place at,
// starting no earlier than min.
func (r *repairer) recordAround(at, least int) (int, []byte) {
	payload := at - r.kind.idAt
	if r.kind.frames != "" {
		start := payload - len(r.kind.frames) - blockHead
		if start < least {
			return -1, nil
		}
		if rec, err := parseBlock(r.buf[start:]); err == nil && r.sound(rec) {
			return start, nil
		}
		if made := r.rebuild(start, len(r.buf)); made != nil {
			return start, made
		}
		return -1, nil
	}
	// Subjects differ in length.
	for slen := 1; slen <= maxSubjectBytes; slen++ {
		start := payload - slen - blockHead
		if start < least {
			break
		}
		if rec, err := parseBlock(r.buf[start:]); err == nil && len(rec.subject) == slen && r.sound(rec) {
			return start, nil
		}
	}
	return -1, nil
}

// maxSubjectBytes bounds the subjects of parked items and cursors.
const maxSubjectBytes = 400

// rebuild makes a new record for the frame of the damaged record at start, if
// the frame itself is sound and ends before end.
func (r *repairer) rebuild(start, end int) []byte {
	if r.kind.frames == "" {
		return nil
	}
	at := start + blockHead + len(r.kind.frames)
	if at >= end {
		return nil
	}
	n, err := frameLen(r.buf[at:end])
	if err != nil || n > end-at || checkFrame(r.buf[at:at+n]) != nil || !bytes.Equal(r.buf[at+offLogID:at+offLogID+len(r.id)], r.id[:]) {
		return nil
	}
	_, seq, when, _ := blockHeader(r.buf[start:])
	if seq <= r.last || seq > r.last+maxPad {
		seq = r.last + 1
	}
	if when < r.time {
		when = r.time
	}
	return r.hash.makeBlockRecord(seq, when, r.kind.frames, r.buf[at:at+n])
}
