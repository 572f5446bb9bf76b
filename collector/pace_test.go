package collector_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// overTCP serves the gateway on a real socket as well, whose resets an
// in-memory connection does not know.
func (g *gateway) overTCP(t *testing.T) net.Conn {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = g.c.Serve(l) }()
	t.Cleanup(func() { _ = l.Close() })
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestWhoIsRefusedWhileSendingALargeBodyStillReadsTheAnswer: closing at once
// would reset the connection under the client's writing.
func TestWhoIsRefusedWhileSendingALargeBodyStillReadsTheAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		size   int
		status int
		closes bool
	}{
		{"one that is skipped", 200 << 10, http.StatusUnauthorized, false},
		{"one that is too large to be skipped", 900 << 10, http.StatusUnauthorized, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := start(t).overTCP(t)
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			if _, err := fmt.Fprintf(conn, "POST /e?key=hly_pk_unknown HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n", c.size); err != nil {
				t.Fatal(err)
			}
			for sent := 0; sent < c.size; sent += 10 << 10 { // the answer is long there
				if _, err := conn.Write([]byte(strings.Repeat(" ", 10<<10))); err != nil {
					t.Fatalf("after %d bytes: %v", sent, err)
				}
			}
			var res fasthttp.Response
			if err := res.Read(bufio.NewReader(conn)); err != nil {
				t.Fatalf("the answer is lost: %v", err)
			}
			if res.StatusCode() != c.status || res.ConnectionClose() != c.closes {
				t.Errorf("got %d, closes %v, want %d and %v", res.StatusCode(), res.ConnectionClose(), c.status, c.closes)
			}
		})
	}
}

func TestShutdownHoldsNoRefusalBack(t *testing.T) {
	g := start(t)
	if err := g.c.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-g.c.LetGo():
	default:
		t.Error("refusals are still held back")
	}
}
