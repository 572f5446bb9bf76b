package send

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"
)

// outgoing is a request's body that notes when it is first read: from then on
// some of the request may have reached the provider.
type outgoing struct {
	data  []byte
	wrote atomic.Bool
}

func newOutgoing(data []byte) *outgoing { return &outgoing{data: data} }

// attach makes it the body of a request. The transport may ask for it anew where
// nothing was written.
func (o *outgoing) attach(req *http.Request) {
	if len(o.data) == 0 {
		return
	}
	req.ContentLength = int64(len(o.data))
	req.Body = &reading{o: o, r: bytes.NewReader(o.data)}
	req.GetBody = func() (io.ReadCloser, error) { return &reading{o: o, r: bytes.NewReader(o.data)}, nil }
}

type reading struct {
	o *outgoing
	r *bytes.Reader
}

// Read implements io.Reader.
func (r *reading) Read(p []byte) (int, error) {
	r.o.wrote.Store(true)
	return r.r.Read(p)
}

// WriteTo implements io.WriterTo.
func (r *reading) WriteTo(w io.Writer) (int64, error) {
	r.o.wrote.Store(true)
	return r.r.WriteTo(w)
}

// Close implements io.Closer.
func (r *reading) Close() error { return nil }

// roundTrip asks the transport itself: what http.Client does beyond it
// (redirects, cookies, a timer of its own) is not wanted here and costs time.
func roundTrip(client *http.Client, req *http.Request) (*http.Response, error) {
	if client.Transport == nil {
		return client.Do(req)
	}
	return client.Transport.RoundTrip(req)
}
