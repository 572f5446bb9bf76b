package store_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/store"
)

func open(t testing.TB, dir string) (*store.Store, error) {
	t.Helper()
	s, err := store.Open(context.Background(), store.Config{Dir: dir, Clock: headlessly.SystemClock, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func TestCredentialsSurviveARestartAndAreForgotten(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]headlessly.Secret{"apiKey": headlessly.NewSecret("sk_1"), "webhookSecret": headlessly.NewSecret("whsec_1")}
	if err := s.PutCredentials(ctx, "acme", "integration_1", want); err != nil {
		t.Fatal(err)
	}
	again, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Credentials("integration_1"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %d credentials, want what was put", len(got))
	}
	if err := again.PutCredentials(ctx, "acme", "integration_1", map[string]headlessly.Secret{"apiKey": headlessly.NewSecret("sk_2")}); err != nil {
		t.Fatal(err)
	}
	if got := again.Credentials("integration_1"); len(got) != 1 || got["apiKey"].Reveal() != "sk_2" {
		t.Errorf("after a rotation: got %d credentials", len(got))
	}
	if err := again.Forget(ctx, "integration_1"); err != nil {
		t.Fatal(err)
	}
	if got := again.Credentials("integration_1"); got != nil {
		t.Errorf("after Forget: got %d credentials", len(got))
	}
}

func TestSyncsSeenIdsAndWaitingReceiptsAreKept(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	state := store.SyncState{Cursor: []byte(`{"after":"cus_1"}`), Count: 7, Phase: "customers", StartedAt: 5}
	w := store.Waiting{Receipt: headlessly.Receipt{Tenant: "acme", Integration: "integration_1", Body: []byte("{}")}, Since: 3}
	if err := errors.Join(s.SaveSync(ctx, "acme", "integration_1", state), s.NoteSeen(ctx, "integration_1", "a", "b", "a"), s.KeepWaiting(ctx, w)); err != nil {
		t.Fatal(err)
	}
	s, err = open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.SyncState(ctx, "integration_1"); err != nil || !reflect.DeepEqual(got, state) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := s.Seen(ctx, "integration_1", "a", "c"); err != nil || !got["a"] || got["c"] {
		t.Errorf("seen: got %v, %v", got, err)
	}
	if got, err := s.Seen(ctx, "integration_2", "a"); err != nil || got["a"] {
		t.Errorf("another integration has seen: %v, %v", got, err)
	}
	due, err := s.DueWaiting(ctx, 10)
	if err != nil || len(due) != 1 || string(due[0].Receipt.Body) != "{}" {
		t.Fatalf("got %+v, %v", due, err)
	}
	due[0].NotUntil = headlessly.SystemClock().Add(time.Hour).UnixMicro()
	if err := s.KeepWaiting(ctx, due[0]); err != nil {
		t.Fatal(err)
	}
	if later, err := s.DueWaiting(ctx, 10); err != nil || len(later) != 0 {
		t.Errorf("not due yet: got %+v, %v", later, err)
	}
	if err := s.DropWaiting(ctx, due[0].N); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CountWaiting(ctx, "acme"); err != nil || len(n) != 0 {
		t.Errorf("got %v, %v", n, err)
	}
}

func TestASealMovedToAnotherTenantDoesNotOpen(t *testing.T) {
	dir := t.TempDir()
	s, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutCredentials(context.Background(), "acme", "integration_1", map[string]headlessly.Secret{"apiKey": headlessly.NewSecret("phc_x")}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`update credentials set tenant = 'thief'`); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir); err == nil || !strings.Contains(err.Error(), "unseal") {
		t.Errorf("got %v, want a refusal to unseal", err)
	}
}

func TestTheSealKeyIsForItsOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	if _, err := open(t, dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "seal.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info.Mode(), err)
	}
}
