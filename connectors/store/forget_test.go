package store_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/headlessly/headlessly/connectors/store"
)

func reopen(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestForgottenIDsAreKnownAndNotKept(t *testing.T) {
	dir := t.TempDir()
	s := reopen(t, dir)
	if s.Forgotten("acme") != nil {
		t.Error("a tenant that has forgotten nobody has a list")
	}
	f := &store.Forget{Tenant: "acme", Users: []string{"canary-user"}, Visitors: []string{"canary-visitor"}}
	if err := s.BeginForget(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	f.Users = append(f.Users, "canary-second")
	if err := s.WidenForget(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	check := func(when string, s *store.Store) {
		t.Helper()
		is := s.Forgotten("acme")
		for _, c := range []struct {
			user, visitor string
			want          bool
		}{
			{"canary-user", "", true},
			{"canary-user", "other", true},
			{"", "canary-visitor", true},
			{"canary-second", "", true},
			{"other", "canary-visitor", false},
			{"canary-visitor", "", false},
			{"", "canary-user", false},
			{"", "", false},
			{"other", "other", false},
		} {
			if got := is(c.user, c.visitor); got != c.want {
				t.Errorf("%s: user %q, visitor %q: got %t, want %t", when, c.user, c.visitor, got, c.want)
			}
		}
		if s.Forgotten("beta") != nil {
			t.Errorf("%s: another tenant has a list", when)
		}
	}
	check("at once", s)
	subject, key := s.Subject("acme", "canary-user"), s.ReceiptKey()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, dir)
	check("after a restart", s)
	if s.Subject("acme", "canary-user") != subject || !bytes.Equal(s.ReceiptKey(), key) {
		t.Error("the store's secrets changed with a restart")
	}
	pending, err := s.PendingForgets(t.Context())
	if err != nil || len(pending) != 1 || len(pending[0].Users) != 2 || pending[0].ID != f.ID {
		t.Fatalf("pending: %+v, %v", pending, err)
	}
	if r, err := s.ForgetReceipt(t.Context(), "acme", f.ID); r != nil || err != nil {
		t.Errorf("under way: got %s, %v", r, err)
	}
	if err := s.FinishForget(t.Context(), f, []byte(`{"done":true}`)); err != nil {
		t.Fatal(err)
	}
	if pending, err := s.PendingForgets(t.Context()); err != nil || len(pending) != 0 {
		t.Errorf("pending: %+v, %v", pending, err)
	}
	if r, err := s.ForgetReceipt(t.Context(), "acme", f.ID); string(r) != `{"done":true}` || err != nil {
		t.Errorf("done: got %s, %v", r, err)
	}
	if _, err := s.ForgetReceipt(t.Context(), "beta", f.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another tenant: got %v, want ErrNotFound", err)
	}
	if !ed25519.Verify(s.ReceiptKey(), []byte("x"), s.Sign([]byte("x"))) {
		t.Error("a signature does not verify")
	}
	check("when done", s)
	if n, err := s.LiftForget(t.Context(), "acme", "canary-user", "canary-visitor"); n != 2 || err != nil {
		t.Errorf("lifted %d, %v, want 2", n, err)
	}
	if is := s.Forgotten("acme"); is("canary-user", "") || !is("canary-second", "") {
		t.Error("lifting took the wrong ids")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"control.db", "control.db-wal"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && bytes.Contains(raw, []byte("canary")) {
			t.Errorf("%s has an id in plain text", name)
		}
	}
}
