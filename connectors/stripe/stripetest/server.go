package stripetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/stripe/stripe-go/v85"
)

// Keys that the stand-in knows.
const (
	LiveKey       = "sk_live_standin"
	TestKey       = "sk_test_standin"
	RestrictedKey = "rk_live_standin" // may not do what [Server].Forbid names
	Account       = "acct_standin"
)

// Object is one of Stripe's objects.
type Object = map[string]any

// Server is the stand-in. Its fields are set before it is used, or with Do.
type Server struct {
	URL string

	mu      sync.Mutex
	clock   func() time.Time
	live    bool
	seq     int
	objects map[string]Object   // by id
	lists   map[string][]string // ids by kind, oldest first
	keys    map[string]answered // by idempotency key
	revoked map[string]bool

	// Forbid maps paths ("/v1/invoices") to the permission that a restricted
	// key lacks for them.
	Forbid map[string]string
	// Outage answers 503 while it is set.
	Outage bool
	// Throttle answers 429 to every n-th request; 0 never.
	Throttle int
	// Cut has so many answers with a page of customers end in the middle.
	Cut int
	// Fail, when set, may answer a request before the stand-in does.
	Fail func(w http.ResponseWriter, r *http.Request) bool

	// Requests counts requests by "METHOD path", ids left out.
	Requests map[string]int
	requests int
	// Created counts the objects that were made, by kind, and Acted those of
	// them that Act made.
	Created, Acted map[string]int

	hooks webhooks
}

type answered struct {
	params string
	status int
	body   []byte
}

// Start serves the stand-in until the test ends. Its clock is the test's.
func Start(t testing.TB, clock func() time.Time) *Server {
	t.Helper()
	s := New(clock)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.URL = srv.URL
	return s
}

// New makes a stand-in in live mode.
func New(clock func() time.Time) *Server {
	return &Server{
		clock: clock, live: true, objects: map[string]Object{}, lists: map[string][]string{}, keys: map[string]answered{}, revoked: map[string]bool{},
		Forbid: map[string]string{}, Requests: map[string]int{}, Created: map[string]int{}, Acted: map[string]int{},
	}
}

// TestMode makes it an account in test mode, before anything is in it.
func (s *Server) TestMode() { s.Do(func(s *Server) { s.live = false }) }

// Do changes the stand-in while it serves.
func (s *Server) Do(f func(s *Server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// Revoke makes a key invalid.
func (s *Server) Revoke(key string) { s.Do(func(s *Server) { s.revoked[key] = true }) }

// fault is an error as Stripe answers it.
type fault struct {
	status                    int
	typ, code, message, param string
}

func (f *fault) Error() string { return f.message }

func invalid(param, format string, args ...any) *fault {
	return &fault{status: 400, typ: "invalid_request_error", message: fmt.Sprintf(format, args...), param: param}
}

func missing(kind, id, param string) *fault {
	return &fault{status: 404, typ: "invalid_request_error", code: "resource_missing", message: "No such " + kind + ": '" + id + "'", param: param}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil {
		http.Error(w, "form", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	count := r.Method + " /v1/" + parts[min(1, len(parts)-1)]
	s.Requests[count]++
	now := s.clock().UTC()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Request-Id", fmt.Sprintf("req_%d", s.requests))
	h.Set("Date", now.Format(http.TimeFormat))
	switch {
	case s.Fail != nil && s.Fail(w, r):
		return
	case s.Outage:
		write(w, 0, nil, &fault{status: 503, typ: "api_error", message: "Stripe is down"})
		return
	case s.Throttle > 0 && s.requests%s.Throttle == 0:
		h.Set("Retry-After", "1")
		write(w, 0, nil, &fault{status: 429, typ: "invalid_request_error", code: "rate_limit", message: "Too many requests"})
		return
	}
	if f := s.allowed(r, "/v1/"+parts[1]); f != nil {
		write(w, 0, nil, f)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if r.Method == http.MethodPost && key != "" {
		params := r.URL.Path + "?" + r.PostForm.Encode()
		if before, ok := s.keys[key]; ok {
			if before.params != params {
				write(w, 0, nil, &fault{status: 400, typ: "idempotency_error", message: "Keys for idempotent requests can only be used with the same parameters they were first used with."})
				return
			}
			h.Set("Idempotent-Replayed", "true")
			w.WriteHeader(before.status)
			_, _ = w.Write(before.body)
			return
		}
		status, body := s.answer(r, parts)
		s.keys[key] = answered{params, status, body}
		w.WriteHeader(status)
		_, _ = w.Write(body)
		return
	}
	status, body := s.answer(r, parts)
	if s.Cut > 0 && parts[1] == "customers" && r.Form.Get("limit") == "100" {
		s.Cut--
		body = body[:len(body)/2]
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (s *Server) allowed(r *http.Request, path string) *fault {
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case s.revoked[key] || key != LiveKey && key != TestKey && key != RestrictedKey && !strings.HasPrefix(key, LiveKey):
		return &fault{status: 401, typ: "invalid_request_error", message: "Invalid API Key provided: " + key[:min(8, len(key))] + "****"}
	case key == RestrictedKey && s.Forbid[r.Method+" "+path] != "":
		return &fault{status: 403, typ: "invalid_request_error", message: "The provided key 'rk_live_*****' does not have the required permissions for this endpoint on account '" + Account + "'. Having the '" + s.Forbid[r.Method+" "+path] + "' permission would allow this request to continue."}
	}
	return nil
}

func (s *Server) answer(r *http.Request, parts []string) (int, []byte) {
	out, err := s.route(r.Method, parts, r.Form)
	rec := httptest.NewRecorder()
	if err != nil {
		write(rec, 0, nil, err)
	} else {
		write(rec, http.StatusOK, out, nil)
	}
	return rec.Code, rec.Body.Bytes()
}

func write(w http.ResponseWriter, status int, v any, err error) {
	if err != nil {
		f, ok := err.(*fault) //nolint:errorlint // always one of ours
		if !ok {
			f = &fault{status: 500, typ: "api_error", message: err.Error()}
		}
		e := Object{"type": f.typ, "message": f.message}
		if f.code != "" {
			e["code"] = f.code
		}
		if f.param != "" {
			e["param"] = f.param
		}
		status, v = f.status, Object{"error": e}
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// kinds maps a path to its kind, the kind's id prefix and object name.
func kinds() map[string][2]string {
	return map[string][2]string{
		"customers": {"cus_", "customer"}, "products": {"prod_", "product"}, "prices": {"price_", "price"}, "subscriptions": {"sub_", "subscription"},
		"invoices": {"in_", "invoice"}, "payment_intents": {"pi_", "payment_intent"}, "charges": {"ch_", "charge"}, "refunds": {"re_", "refund"},
		"webhook_endpoints": {"we_", "webhook_endpoint"}, "events": {"evt_", "event"}, "coupons": {"co_", "coupon"}, "discounts": {"di_", "discount"},
		"invoiceitems": {"ii_", "invoiceitem"}, "invoice_payments": {"inpay_", "invoice_payment"},
	}
}

func (s *Server) route(method string, parts []string, form url.Values) (any, error) {
	if len(parts) < 2 || parts[0] != "v1" {
		return nil, &fault{status: 404, typ: "invalid_request_error", message: "Unrecognized request URL"}
	}
	kind := parts[1]
	if kind == "account" {
		return Object{"id": Account, "object": "account"}, nil
	}
	if kind == "subscription_items" && method == http.MethodGet {
		return s.items(form)
	}
	if _, ok := kinds()[kind]; !ok {
		return nil, &fault{status: 404, typ: "invalid_request_error", message: "Unrecognized request URL: " + kind}
	}
	switch {
	case method == http.MethodGet && len(parts) == 2:
		return s.list(kind, form)
	case method == http.MethodGet:
		o := s.objects[parts[2]]
		if o == nil {
			return nil, missing(kinds()[kind][1], parts[2], "id")
		}
		return s.expand(o, form["expand[]"], ""), nil
	case method == http.MethodPost && len(parts) == 2:
		p := params(form)
		o, err := s.create(kind, p)
		if err != nil {
			return nil, err
		}
		s.Created[kind]++
		return s.expand(o, form["expand[]"], ""), nil
	}
	o := s.objects[parts[2]]
	if o == nil || o["deleted"] == true {
		return nil, missing(kinds()[kind][1], parts[2], "id")
	}
	action := "update"
	if method == http.MethodDelete {
		action = "delete"
	} else if len(parts) > 3 {
		action = parts[3]
	}
	if err := s.act(kind, action, o, params(form)); err != nil {
		return nil, err
	}
	return s.expand(o, form["expand[]"], ""), nil
}

// list answers a page: the newest first, or what ends before an object.
func (s *Server) list(kind string, form url.Values) (any, error) {
	limit, err := strconv.Atoi(form.Get("limit"))
	if err != nil {
		limit = 10
	}
	if limit < 1 || limit > 100 {
		return nil, invalid("limit", "This value must be between 1 and 100.")
	}
	ids := s.lists[kind]
	index := func(param string) (int, error) {
		id := form.Get(param)
		o := s.objects[id]
		if o == nil {
			return 0, missing(kinds()[kind][1], id, param)
		}
		n := o["seq"].(int) //nolint:forcetypeassert // ours
		return sort.Search(len(ids), func(i int) bool { return s.objects[ids[i]]["seq"].(int) >= n }), nil
	}
	fits := func(o Object) bool {
		if o["deleted"] == true {
			return false
		}
		if gte := form.Get("created[gte]"); gte != "" && fmt.Sprint(o["created"]) < gte {
			return false
		}
		if kind == "subscriptions" && form.Get("status") == "" && o["status"] == "canceled" {
			return false
		}
		return true
	}
	var page []any
	more := false
	take := func(i int) bool {
		o := s.objects[ids[i]]
		if !fits(o) {
			return true
		}
		if len(page) == limit {
			more = true
			return false
		}
		page = append(page, s.expand(o, form["expand[]"], "data."))
		return true
	}
	if form.Get("ending_before") != "" { // those next newer, still newest first
		at, err := index("ending_before")
		if err != nil {
			return nil, err
		}
		for i := at + 1; i < len(ids) && take(i); i++ { //nolint:revive // the body is the condition
		}
		slices.Reverse(page)
	} else {
		at := len(ids)
		if form.Get("starting_after") != "" {
			if at, err = index("starting_after"); err != nil {
				return nil, err
			}
		}
		for i := at - 1; i >= 0 && take(i); i-- { //nolint:revive // the body is the condition
		}
	}
	if page == nil {
		page = []any{}
	}
	return Object{"object": "list", "data": page, "has_more": more, "url": "/v1/" + kind}, nil
}

// expand copies an object with what is expanded in it.
func (s *Server) expand(o Object, expand []string, prefix string) Object {
	out := shortened(o)
	delete(out, "seq")
	for _, e := range expand {
		path, ok := strings.CutPrefix(e, prefix)
		if !ok {
			continue
		}
		s.expandPath(out, strings.Split(path, "."))
	}
	if out["object"] == "price" && !slices.Contains(expand, prefix+"tiers") {
		delete(out, "tiers")
	}
	return out
}

func (s *Server) expandPath(o Object, path []string) {
	open := func(v any) any {
		switch v := v.(type) {
		case string:
			if found := s.objects[v]; found != nil {
				c := maps.Clone(found)
				delete(c, "seq")
				s.expandPath(c, path[1:])
				return c
			}
		case Object:
			c := maps.Clone(v)
			s.expandPath(c, path[1:])
			return c
		}
		return v
	}
	if len(path) == 0 {
		return
	}
	switch v := o[path[0]].(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = open(v[i])
		}
		o[path[0]] = list
	case nil:
	default:
		o[path[0]] = open(v)
	}
}

// params turns a form into nested values: items[0][price] is
// {"items":{"0":{"price":…}}}.
func params(form url.Values) Object {
	out := Object{}
	for k, vs := range form {
		if strings.HasPrefix(k, "expand") {
			continue
		}
		if name, ok := strings.CutSuffix(k, "[]"); ok {
			var list []any
			for _, v := range vs {
				list = append(list, v)
			}
			out[name] = list
			continue
		}
		path := strings.Split(strings.ReplaceAll(k, "]", ""), "[")
		at := out
		for _, p := range path[:len(path)-1] {
			next, ok := at[p].(Object)
			if !ok {
				next = Object{}
				at[p] = next
			}
			at = next
		}
		at[path[len(path)-1]] = vs[0]
	}
	return out
}

// add stores a new object.
func (s *Server) add(kind string, o Object) Object {
	s.seq++
	k := kinds()[kind]
	if o["id"] == nil {
		o["id"] = fmt.Sprintf("%s%08d", k[0], s.seq)
		if !s.live { // ids are of one mode
			o["id"] = fmt.Sprintf("%stest%08d", k[0], s.seq)
		}
	}
	o["object"], o["seq"], o["livemode"] = k[1], s.seq, s.live
	if o["created"] == nil {
		o["created"] = s.clock().Unix()
	}
	id := o["id"].(string) //nolint:forcetypeassert // ours
	s.objects[id] = o
	s.lists[kind] = append(s.lists[kind], id)
	return o
}

// All gives the objects of a kind as they stand, oldest first.
func (s *Server) All(kind string) (out []Object) {
	s.Do(func(s *Server) {
		for _, id := range s.lists[kind] {
			if o := s.objects[id]; o["deleted"] != true {
				c := maps.Clone(o)
				delete(c, "seq")
				out = append(out, c)
			}
		}
	})
	return out
}

// Get gives one object as it stands, nil when there is none.
func (s *Server) Get(id string) (out Object) {
	s.Do(func(s *Server) { out = maps.Clone(s.objects[id]) })
	return out
}

// Version is the API version of its events.
const Version = api.APIVersion

// ForgetEvents drops all events, as Stripe does after 30 days.
func (s *Server) ForgetEvents() {
	for _, id := range s.lists["events"] {
		delete(s.objects, id)
	}
	s.lists["events"] = nil
}

// Odd puts an object of a form that nobody knows among those of a kind.
func (s *Server) Odd(kind string) {
	o := s.add(kind, Object{"name": Object{"unheard": "of"}})
	o["metadata"] = []any{1}
}
