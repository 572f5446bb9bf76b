package flight

import (
	"context"
	"encoding/base64"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// tenantHeader names the tenant that an admin key asks about.
const tenantHeader = "x-headlessly-tenant"

type callerKey struct{}

// caller is who makes a call that was let in.
type caller struct {
	tenant string
	key    string
	named  string // the tenant that an admin key asked for
}

// callerOf is who makes a call.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// key is what a call's authorization header holds.
func key(header string) string {
	scheme, rest, _ := strings.Cut(header, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "bearer"):
		return rest
	case strings.EqualFold(scheme, "basic"):
		if raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(rest, "=")); err == nil { // clients pad, or not
			_, password, _ := strings.Cut(string(raw), ":")
			return password
		}
	}
	return ""
}

// enter lets a call in, or says why not.
func (s *Server) enter(ctx context.Context) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	first := func(name string) string {
		if v := md.Get(name); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	c := caller{key: key(first("authorization")), named: first(tenantHeader)}
	if c.key == "" {
		return nil, status.Error(codes.Unauthenticated, "send a secret key (hly_sk_…) as a bearer token, or as the password")
	}
	if err := s.count(&c); err != nil {
		return nil, err
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

// count takes one request from what the caller has in a minute, and finds its
// tenant.
func (s *Server) count(c *caller) (err error) {
	if c.tenant, err = s.cfg.Caller(c.named, c.key); err != nil {
		return s.fault(err)
	}
	return nil
}

func (s *Server) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// stream lets streams in. The handshake is one: it answers the token that goes
// with further calls, which is the key.
func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, err := s.enter(ss.Context())
	if err != nil {
		return err
	}
	if strings.HasSuffix(info.FullMethod, "/Handshake") {
		token := metadata.Pairs("authorization", "Bearer "+callerOf(ctx).key)
		ss.SetTrailer(token)
		return ss.SendHeader(token)
	}
	return next(srv, entered{ss, ctx})
}

// entered is a stream whose caller is known.
type entered struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // that is how gRPC's streams carry theirs
}

// Context implements grpc.ServerStream.
func (e entered) Context() context.Context { return e.ctx }
