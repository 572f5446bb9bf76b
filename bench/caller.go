package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"time"
)

// caller is a client's connection, opened when it is needed.
type caller struct {
	addr    string
	until   time.Time // no answer is waited for longer
	request []byte    // as it is sent
	conn    net.Conn
	in      [4 << 10]byte
}

const (
	answerTimeout = 15 * time.Second
	dialTimeout   = 10 * time.Second
)

var errAnswer = errors.New("the answer is none")

// do sends the request and reads the answer. retry is what it says of when to
// come again.
func (c *caller) do(ctx context.Context) (status int, retry time.Duration, err error) {
	if c.conn == nil {
		d := net.Dialer{Timeout: dialTimeout}
		if c.conn, err = d.DialContext(ctx, "tcp", c.addr); err != nil {
			c.conn = nil
			return 0, 0, err
		}
		_ = c.conn.SetDeadline(c.until)
	}
	if _, err = c.conn.Write(c.request); err == nil {
		status, retry, err = c.read()
	}
	if err != nil {
		c.close()
	}
	return status, retry, err
}

func (c *caller) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// read reads one answer, which has a length and fits in the buffer.
func (c *caller) read() (status int, retry time.Duration, err error) {
	for n := 0; n < len(c.in); {
		got, err := c.conn.Read(c.in[n:])
		if err != nil {
			return 0, 0, err
		}
		n += got
		end := bytes.Index(c.in[:n], []byte("\r\n\r\n"))
		if end < 0 {
			continue
		}
		head := c.in[:end+2]
		if n < end+4+number(head, "\r\nContent-Length: ") {
			continue
		}
		if len(head) < len("HTTP/1.1 200") {
			return 0, 0, errAnswer
		}
		if status, err = strconv.Atoi(string(head[9:12])); err != nil {
			return 0, 0, errAnswer
		}
		retry = time.Duration(number(head, "\r\nRetry-After: ")) * time.Second
		if bytes.Contains(head, []byte("\r\nConnection: close\r\n")) {
			c.close()
		}
		return status, retry, nil
	}
	return 0, 0, errAnswer
}

// number gives a header's number, 0 without one.
func number(head []byte, name string) int {
	at := bytes.Index(head, []byte(name))
	if at < 0 {
		return 0
	}
	text, _, _ := bytes.Cut(head[at+len(name):], []byte("\r"))
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return 0
	}
	return n
}
