package collector

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/headlessly/headlessly"
)

// caller is who sends a request, as far as the headers and the query tell.
type caller struct {
	tenant string // "" when only the body may tell
	keyed  bool   // a valid key was shown
	secret bool   // that key is a secret one
}

// errorReply is an answer that refuses a whole request.
type errorReply struct {
	status  int
	code    string
	field   string
	message string

	retry            time.Duration // for Retry-After; 0 where the status does not ask for it
	limit, remaining int64         // for X-RateLimit-*; 0 where none applies
}

func newReply(status int, code, field, message string) *errorReply {
	return &errorReply{status: status, code: code, field: field, message: message}
}

// identify finds the caller from the Authorization header or the query. The
// key, where there is one, decides the tenant; a query that names another is
// refused.
func (c *Collector) identify(ctx *fasthttp.RequestCtx, f face) (caller, *errorReply) {
	args := ctx.QueryArgs()
	named := string(args.Peek("t"))
	if named == "" {
		named = string(args.Peek("tenant"))
	}
	key := bearer(view(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)))
	if key == "" {
		key = string(args.Peek("key"))
	}
	if key == "" {
		return caller{tenant: named}, nil
	}
	if f.segment && headlessly.KindOfKey(key) == "" && headlessly.ValidTenant(key) && (named == "" || named == key) {
		// Segment's SDKs insist on a write key: where a tenant needs none, its
		// name serves.
		return caller{tenant: key}, nil
	}
	who, refusal := c.withKey(key, len(ctx.Request.Header.Peek(fasthttp.HeaderOrigin)) > 0)
	if refusal != nil {
		return caller{}, refusal
	}
	if who.tenant == "" { // an admin key acts for the tenant that is named
		who.tenant = named
	}
	if named != "" && named != who.tenant {
		return caller{}, newReply(403, "forbidden", "tenant", "is another one than the key's; leave it out, or use its own key")
	}
	return who, nil
}

// withKey authenticates a key; fromBrowser says that an Origin header came
// with it.
func (c *Collector) withKey(key string, fromBrowser bool) (caller, *errorReply) {
	k, ok := c.cfg.Directory.Authenticate(key)
	if !ok {
		return caller{}, newReply(401, "unauthorized", "key", "is unknown or revoked; list the keys with: headlessly keys")
	}
	secret := k.Kind != headlessly.KeyPublic
	if secret && fromBrowser {
		return caller{}, newReply(403, "forbidden", "key", "is a secret one and came from a browser: revoke it, and use the public key (hly_pk_…) there")
	}
	return caller{tenant: k.Tenant, keyed: true, secret: secret}, nil
}

// bearer gives the key of an Authorization header: Bearer KEY, or Basic with
// the key as user name (the Segment API's write key).
func bearer(h string) string {
	if scheme, rest, ok := strings.Cut(h, " "); ok {
		switch {
		case strings.EqualFold(scheme, "bearer"):
			return strings.TrimSpace(rest)
		case strings.EqualFold(scheme, "basic"):
			if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil {
				user, _, _ := strings.Cut(string(raw), ":")
				return user
			}
		}
	}
	return ""
}

// admit checks the caller against the tenant's policy.
func (c *Collector) admit(who caller, origin string) (Policy, *errorReply) {
	if who.tenant == "" {
		return Policy{}, newReply(400, "no_tenant", "tenant", `is missing: send data-tenant in the script tag, "tenant" in the body, ?t= in the address, or a key`)
	}
	if !headlessly.ValidTenant(who.tenant) {
		return Policy{}, newReply(400, "invalid_tenant", "tenant", "must be lower-case letters, digits and hyphens, start with a letter and have at most 63 characters")
	}
	p, ok := c.cfg.Directory.Policy(who.tenant)
	if !ok {
		return Policy{}, newReply(403, "unknown_tenant", "tenant", "is not known here; declare it under tenants in the configuration file")
	}
	if p.RequireKey && !who.keyed {
		return p, newReply(401, "unauthorized", "key", "is missing, and this tenant takes no event without one: send Authorization: Bearer hly_pk_…")
	}
	if len(p.Origins) > 0 && !who.secret && !contains(p.Origins, origin) {
		return p, newReply(403, "forbidden", "origin", "this origin is not on the tenant's list")
	}
	return p, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}
