package imports

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
)

// State says where the import of a file stands.
type State struct {
	File     string    `json:"file"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Reading  string    `json:"reading"` // how: a hash of the options
	Tenant   string    `json:"tenant"`
	Gateway  string    `json:"gateway"`

	Counts
	RejectedBytes int64 `json:"rejectedBytes"` // of the file of bad rows
	Done          bool  `json:"done"`
}

// Counts are the rows so far: each is in one of the other three.
type Counts struct {
	Rows  int64 `json:"rows"`
	Taken int64 `json:"taken"`
	Known int64 `json:"known"` // stored before
	Bad   int64 `json:"bad"`
}

// store is the file of a State.
type store struct{ path string }

// newStore is where, in dir, the state of a file's import into a tenant is
// kept.
func newStore(dir string, s *State) store {
	name := sha256.Sum256([]byte(s.File + "\x00" + s.Gateway + "\x00" + s.Tenant))
	return store{filepath.Join(dir, hex.EncodeToString(name[:12])+".json")}
}

// describe fills a State with what tells a file and a way to read it.
func describe(path string, o Options, s *State) error {
	whole, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(whole)
	if err != nil {
		return err
	}
	how := sha256.Sum256([]byte(strings.Join(append(append([]string{o.From, o.Format, fmt.Sprint(o.LineIDs)}, o.Map...), o.Set...), "\x00")))
	s.File, s.Size, s.Modified, s.Reading = whole, info.Size(), info.ModTime().UTC(), hex.EncodeToString(how[:8])
	return nil
}

// load reads an earlier import of the same, unchanged file in the same way.
func (st store) load(want State) (State, bool, error) {
	raw, err := os.ReadFile(st.path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, err
	}
	var s State
	if err := json.Unmarshal(raw, &s); err != nil {
		return State{}, false, fmt.Errorf("read %s: %w", st.path, err)
	}
	return s, s.File == want.File && s.Size == want.Size && s.Modified.Equal(want.Modified) && s.Reading == want.Reading, nil
}

// save replaces the state whole.
func (st store) save(s *State) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(st.path), 0o700); err != nil {
		return err
	}
	return headlessly.WriteFile(st.path, raw)
}

// badRows is the file of bad rows. It is made with the first one.
type badRows struct {
	path string
	file *os.File
	at   int64
}

// maxShown bounds how much of a bad row is kept.
const maxShown = 64 << 10

// open goes on behind what an earlier, interrupted import had settled, or another
// file's import had written.
func (b *badRows) open() error {
	if b.file != nil {
		return nil
	}
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	b.at = min(b.at, info.Size()) // somebody has emptied or moved it
	if err := f.Truncate(b.at); err != nil {
		return errors.Join(err, f.Close())
	}
	if _, err := f.Seek(b.at, io.SeekStart); err != nil {
		return errors.Join(err, f.Close())
	}
	b.file = f
	return nil
}

// add writes a bad row.
func (b *badRows) add(line int64, fault *Fault, raw []byte) error {
	if err := b.open(); err != nil {
		return fmt.Errorf("keep bad row of line %d: %w", line, err)
	}
	shown := raw
	if len(shown) > maxShown {
		shown = shown[:maxShown]
	}
	out, err := json.Marshal(struct {
		Line int64 `json:"line"`
		*Fault
		Row string `json:"row"`
	}{line, fault, strings.TrimRight(strings.ToValidUTF8(string(shown), "\uFFFD"), "\r\n")})
	if err != nil {
		return err
	}
	n, err := b.file.Write(append(out, '\n'))
	b.at += int64(n)
	return err
}

func (b *badRows) close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}
