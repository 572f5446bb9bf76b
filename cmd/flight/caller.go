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

type tenantKey struct{}

// tenantOf is the tenant of a call that was let in.
func tenantOf(ctx context.Context) string {
	tenant, _ := ctx.Value(tenantKey{}).(string)
	return tenant
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
func (s *Server) enter(ctx context.Context) (_ context.Context, k string, err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	first := func(name string) string {
		if v := md.Get(name); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	if k = key(first("authorization")); k == "" {
		return nil, "", status.Error(codes.Unauthenticated, "send a secret key (hly_sk_…) as a bearer token, or as the password")
	}
	tenant, err := s.cfg.Caller(first(tenantHeader), k)
	if err != nil {
		return nil, "", status.Error(codes.Unauthenticated, err.Error())
	}
	return context.WithValue(ctx, tenantKey{}, tenant), k, nil
}

func (s *Server) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, _, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// stream lets streams in. The handshake is one: it answers the token that goes
// with further calls, which is the key.
func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, k, err := s.enter(ss.Context())
	if err != nil {
		return err
	}
	if strings.HasSuffix(info.FullMethod, "/Handshake") {
		token := metadata.Pairs("authorization", "Bearer "+k)
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
