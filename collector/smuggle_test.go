package collector_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// raw writes bytes to a connection of their own and gives the statuses of the
// answers, until the gateway closes or does not answer any more.
func (g *gateway) raw(t *testing.T, text string, answers int) (statuses []int, closed bool) {
	t.Helper()
	conn, err := g.dial()
	if err != nil {
		t.Fatal(err)
	}
	return talk(t, conn, text, answers)
}

// talk writes text and reads answers; for as many as must come it waits long.
func talk(t *testing.T, conn net.Conn, text string, answers int) (statuses []int, closed bool) {
	t.Helper()
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, text) }()
	r := bufio.NewReader(conn)
	for {
		patience := 300 * time.Millisecond
		if len(statuses) < answers {
			patience = time.Minute
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			var timeout net.Error
			return statuses, !errors.As(err, &timeout)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusContinue {
			statuses = append(statuses, res.StatusCode)
		}
		if res.Close {
			return statuses, true
		}
	}
}

// smuggled is a request that a proxy would take for the body of another.
const smuggled = "POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: 20\r\n\r\n{\"event\":\"smuggled\"}"

// TestNoRequestHidesInAnother sends what a proxy and the gateway may read in
// two ways. The second request, which the proxy would take for a body, must
// not be answered as one: either it is part of the first's body here too, or
// the connection ends.
func TestNoRequestHidesInAnother(t *testing.T) {
	head := "POST /e?t=acme HTTP/1.1\r\nHost: g\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(smuggled))
	for _, c := range []struct{ name, text string }{
		{"a length and chunks, chunks end first", head + length + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled},
		{"chunks and a length, the other order", head + "Transfer-Encoding: chunked\r\n" + length + "\r\n0\r\n\r\n" + smuggled},
		{"two lengths that differ", head + "Content-Length: 0\r\n" + length + "\r\n" + smuggled},
		{"two lengths in one field", head + fmt.Sprintf("Content-Length: 0, %d\r\n\r\n", len(smuggled)) + smuggled},
		{"a length with a sign", head + fmt.Sprintf("Content-Length: +%d\r\n\r\n", len(smuggled)) + smuggled},
		{"a negative length", head + "Content-Length: -1\r\n\r\n" + smuggled},
		{"a length that overflows", head + "Content-Length: 18446744073709551616\r\n\r\n" + smuggled},
		{"a length in hex", head + "Content-Length: 0x0\r\n\r\n" + smuggled},
		{"a space before the colon", head + "Content-Length : 0\r\n" + length + "\r\n" + smuggled},
		{"a folded length", head + "Content-Length:\r\n 0\r\n\r\n" + smuggled},
		{"a coding that is unknown", head + "Transfer-Encoding: xchunked\r\n\r\n" + smuggled},
		{"chunked and then another coding", head + "Transfer-Encoding: chunked, identity\r\n" + length + "\r\n0\r\n\r\n" + smuggled},
		{"chunked with a tab", head + "Transfer-Encoding:\tchunked\r\n" + length + "\r\n0\r\n\r\n" + smuggled},
		{"chunked behind a vertical tab", head + "Transfer-Encoding: \x0bchunked\r\n" + length + "\r\n0\r\n\r\n" + smuggled},
		{"chunked twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" + length + "\r\n0\r\n\r\n" + smuggled},
		{"chunked in HTTP/1.0", "POST /e?t=acme HTTP/1.0\r\nHost: g\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n" + length + "\r\n0\r\n\r\n" + smuggled},
		{"a chunk size that overflows", head + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n" + smuggled},
		{"a chunk size with a sign", head + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + smuggled},
		{"a chunk that ends in LF only", head + "Transfer-Encoding: chunked\r\n\r\n0\n\n" + smuggled},
		{"a chunk extension with a line in it", head + "Transfer-Encoding: chunked\r\n\r\n0;\n" + smuggled},
		{"a bare CR in a header", head + "X: a\rContent-Length: 0\r\n" + length + "\r\n" + smuggled},
		{"a NUL in a header", head + "X: a\x00b\r\n" + length + "\r\n" + smuggled},
		{"a header without a colon", head + "Content-Length 0\r\n" + length + "\r\n" + smuggled},
		{"a line before the request line", " \r\n" + head + length + "\r\n" + smuggled},
		{"a GET with a body", "GET /healthz HTTP/1.1\r\nHost: g\r\n" + length + "\r\n" + smuggled},
		{"an OPTIONS with chunks", "OPTIONS /e HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk},
		{"a 404 with a body", "POST /nowhere HTTP/1.1\r\nHost: g\r\n" + length + "\r\n" + smuggled},
		{"a refusal before the body is read", "POST /e?t=strict HTTP/1.1\r\nHost: g\r\n" + length + "\r\n" + smuggled},
		{"an upgrade", "GET /healthz HTTP/1.1\r\nHost: g\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + length + "\r\n" + smuggled},
		{"an expectation", head + "Expect: 100-continue\r\n" + length + "\r\n" + smuggled},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t)
			statuses, closed := g.raw(t, c.text, 0)
			for _, e := range g.log.events(t) {
				if e.Event == "smuggled" {
					t.Errorf("the hidden request was taken: answers %v, closed %v", statuses, closed)
				}
			}
			if len(statuses) > 1 {
				t.Errorf("got %d answers %v, want one", len(statuses), statuses)
			}
		})
	}
}

// TestRequestsBehindEachOtherAreAllTaken: what is not a trick works.
func TestRequestsBehindEachOtherAreAllTaken(t *testing.T) {
	g := start(t)
	chunked := "POST /e?t=acme HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"eve\r\nf\r\nnt\":\"smuggled\"}\r\n0\r\n\r\n"
	statuses, _ := g.raw(t, smuggled+chunked+smuggled, 3)
	if want := []int{202, 202, 202}; !slices.Equal(statuses, want) {
		t.Errorf("got %v, want %v", statuses, want)
	}
	if n := len(g.log.events(t)); n != 3 {
		t.Errorf("%d events are stored, want 3", n)
	}
}

// TestBehindAProxyOneRequestIsOne puts a real proxy before the gateway and
// sends the tricks that it lets through.
func TestBehindAProxyOneRequestIsOne(t *testing.T) {
	g := start(t)
	target, err := url.Parse(serveTCP(t, g))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(proxy)
	defer front.Close()
	for i, text := range []string{
		"POST /e?t=acme HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n",
		fmt.Sprintf("POST /nowhere HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n%s", len(smuggled), smuggled),
		fmt.Sprintf("GET /healthz HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n%s", len(smuggled), smuggled),
	} {
		before := len(g.log.events(t))
		conn, err := net.Dial("tcp", front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		statuses, _ := talk(t, conn, text+strings.Replace(smuggled, "smuggled", "honestly", 1), 0)
		if len(statuses) > 2 {
			t.Errorf("case %d: got answers %v, want at most two", i, statuses)
		}
		for _, e := range g.log.events(t)[before:] {
			if e.Event != "honestly" {
				t.Errorf("case %d: the hidden request was taken: %v", i, statuses)
			}
		}
	}
}
