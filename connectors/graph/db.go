package graph

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"modernc.org/sqlite"
)

const (
	// readers bounds the connections that answer queries.
	readers = 8
	// maxPatterns bounds the compiled regular expressions that are kept.
	maxPatterns = 256
)

// connector opens connections of a driver of its own, which knows the
// functions that queries use.
type connector struct {
	driver *sqlite.Driver
	dsn    string
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.driver }

// openDB opens the file for one writer and many readers.
func openDB(ctx context.Context, path string) (writer, reader *sql.DB, err error) {
	d := &sqlite.Driver{}
	p := &patterns{compiled: map[string]*regexp.Regexp{}}
	if err := d.RegisterDeterministicScalarFunction(regexpFunc, 2, p.match); err != nil {
		return nil, nil, fmt.Errorf("function %s: %w", regexpFunc, err)
	}
	dsn := func(pragmas ...string) string {
		v := url.Values{"_pragma": append([]string{"busy_timeout(10000)"}, pragmas...)}
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
	}
	// The log is the truth: after a power cut the projection may be a little
	// behind it, so it need not sync each commit.
	writer = sql.OpenDB(connector{d, dsn("journal_mode(wal)", "synchronous(normal)", "cache_size(-65536)", "wal_autocheckpoint(4000)", "temp_store(memory)")})
	writer.SetMaxOpenConns(1)
	if err := writer.PingContext(ctx); err != nil {
		_ = writer.Close()
		return nil, nil, fmt.Errorf("open projection %s: %w", path, err)
	}
	reader = sql.OpenDB(connector{d, dsn("query_only(1)", "cache_size(-16384)", "temp_store(memory)", "mmap_size(0)")})
	reader.SetMaxOpenConns(readers)
	reader.SetMaxIdleConns(readers)
	return writer, reader, nil
}

// regexpFunc is the SQL function behind $regex.
const regexpFunc = "graph_match"

// patterns keeps compiled regular expressions.
type patterns struct {
	mu       sync.Mutex
	compiled map[string]*regexp.Regexp
}

func (p *patterns) match(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	pattern, ok := args[0].(string)
	text, isText := args[1].(string)
	if !ok || !isText {
		return int64(0), nil
	}
	p.mu.Lock()
	re := p.compiled[pattern]
	p.mu.Unlock()
	if re == nil {
		var err error
		if re, err = regexp.Compile(pattern); err != nil {
			return nil, err
		}
		p.mu.Lock()
		if len(p.compiled) >= maxPatterns {
			clear(p.compiled)
		}
		p.compiled[strings.Clone(pattern)] = re
		p.mu.Unlock()
	}
	if re.MatchString(text) {
		return int64(1), nil
	}
	return int64(0), nil
}
