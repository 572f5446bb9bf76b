package flight

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/connectors/graph"
)

// fault gives an error its gRPC form: what the caller can mend is told, the
// rest is in the log.
func (s *Server) fault(err error) error {
	var bad *control.QueryError
	var refused *graph.Error
	switch {
	case errors.As(err, &bad):
		return status.Error(codeOf(bad.Status), bad.Message)
	case errors.As(err, &refused):
		st := status.New(codeOf(refused.Status()), refused.Message)
		if refused.RetryAfter > 0 {
			if told, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(refused.RetryAfter)}); err == nil {
				st = told
			}
		}
		return st.Err()
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the query was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the query took too long")
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	s.cfg.Logger.Error("flight.fault", slog.Any("error", err))
	return status.Error(codes.Internal, "the gateway has a fault; its log says more")
}

// codeOf is gRPC's word for an HTTP status.
func codeOf(httpStatus int) codes.Code {
	switch httpStatus {
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusRequestTimeout:
		return codes.DeadlineExceeded
	case http.StatusTooManyRequests, http.StatusUnprocessableEntity:
		return codes.ResourceExhausted
	case http.StatusNotImplemented:
		return codes.Unimplemented
	case http.StatusInternalServerError:
		return codes.Internal
	}
	return codes.InvalidArgument
}
