package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// forgetPoll is the pause between questions after a deletion that goes on.
const forgetPoll = 2 * time.Second

func forgetCommand(stdio IO) *cobra.Command {
	var t target
	var who struct {
		UserID       string          `json:"userId"`
		AnonymousIDs []string        `json:"anonymousIds,omitempty"`
		Receipt      json.RawMessage `json:"receipt,omitempty"`
	}
	var verify string
	var lift bool
	c := &cobra.Command{
		Use: "forget --user ID", Short: "Delete everything about a person, everywhere", Args: args(cobra.NoArgs),
		Long: `Delete everything about a person: finds their ids, deletes their rows from every
table, their records from the log and their parked items, asks the destinations to
delete them (or says what to do there), and prints a signed receipt. From then on
events of theirs are refused.`,
		Example: `  headlessly forget --user user-7 > receipt.json
  headlessly forget --user user-7 --verify receipt.json
  headlessly forget --user user-7 --lift          # they came back`,
		RunE: func(c *cobra.Command, _ []string) error {
			if who.UserID == "" {
				return usageError{errors.New("no person: name them with --user ID, the user id of their events")}
			}
			if err := t.resolve(); err != nil {
				return err
			}
			switch {
			case lift:
				return t.print(c.Context(), stdio.Out, http.MethodDelete, "forget", who)
			case verify != "":
				raw, err := os.ReadFile(verify) //nolint:gosec // the caller's own file
				if err != nil {
					return err
				}
				if who.Receipt = raw; !json.Valid(raw) {
					return fmt.Errorf("%s is not JSON; it must be what headlessly forget printed", verify)
				}
				return verifyForgotten(c.Context(), &t, who, stdio.Out)
			}
			return forget(c.Context(), &t, who, stdio)
		},
	}
	t.flags(c)
	c.Flags().StringVar(&who.UserID, "user", "", "user id of the person")
	c.Flags().StringSliceVar(&who.AnonymousIDs, "visitor", nil, "anonymous ids of theirs beside those that are found")
	c.Flags().StringVar(&verify, "verify", "", "check a receipt, and search again")
	c.Flags().BoolVar(&lift, "lift", false, "let their events in again")
	return c
}

// forget begins the deletion and waits for its receipt.
func forget(ctx context.Context, t *target, who any, stdio IO) error {
	raw, err := t.read(ctx, http.MethodPost, "forget", who)
	for told := false; err == nil; {
		var pending struct{ ID, Status, Message string }
		if json.Unmarshal(raw, &pending) != nil || pending.Status != "pending" {
			var out bytes.Buffer
			if err := json.Indent(&out, bytes.TrimSpace(raw), "", "  "); err != nil {
				return err
			}
			_, err := fmt.Fprintln(stdio.Out, out.String())
			return err
		}
		if !told {
			_, _ = fmt.Fprintln(stdio.Err, pending.Message)
			told = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(forgetPoll):
		}
		raw, err = t.read(ctx, http.MethodGet, "forget/"+pending.ID, nil)
	}
	return err
}

func verifyForgotten(ctx context.Context, t *target, who any, w io.Writer) error {
	raw, err := t.read(ctx, http.MethodPost, "forget/verify", who)
	if err != nil {
		return err
	}
	var found struct{ OK bool }
	var out bytes.Buffer
	if err := errors.Join(json.Unmarshal(raw, &found), json.Indent(&out, bytes.TrimSpace(raw), "", "  ")); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w, out.String()); err != nil {
		return err
	}
	if !found.OK {
		return errors.New("the receipt does not hold")
	}
	return nil
}

// read gives an answer's whole body.
func (t *target) read(ctx context.Context, method, path string, body any) ([]byte, error) {
	res, err := t.call(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer res.Close() //nolint:errcheck // read whole
	return io.ReadAll(res)
}
