package lakehouse

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// catalogTransport completes what the Iceberg library sends to a REST catalog:
// an added schema without "last-column-id", which the specification calls
// deprecated and Nessie (0.99) insists on.
type catalogTransport struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (c catalogTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || r.Body == nil {
		return c.base.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = r.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	body = withLastColumn(body)
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return c.base.RoundTrip(r)
}

// withLastColumn adds the highest column id to added schemas. Any other body,
// and one that is no JSON, stays as it is.
func withLastColumn(body []byte) []byte {
	if !bytes.Contains(body, []byte(`"add-schema"`)) {
		return body
	}
	var request map[string]json.RawMessage
	var updates []map[string]json.RawMessage
	if json.Unmarshal(body, &request) != nil || json.Unmarshal(request["updates"], &updates) != nil {
		return body
	}
	for _, u := range updates {
		if string(u["action"]) != `"add-schema"` || u["last-column-id"] != nil {
			continue
		}
		var schema struct{ Fields []struct{ ID int } } // our columns are flat
		if json.Unmarshal(u["schema"], &schema) != nil {
			return body
		}
		last := 0
		for _, f := range schema.Fields {
			last = max(last, f.ID)
		}
		u["last-column-id"] = strconv.AppendInt(nil, int64(last), 10)
	}
	list, err := json.Marshal(updates)
	if err != nil {
		return body
	}
	request["updates"] = list
	if whole, err := json.Marshal(request); err == nil {
		return whole
	}
	return body
}
