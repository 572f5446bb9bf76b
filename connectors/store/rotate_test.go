package store_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/store"
)

const (
	envRotate = "STORE_TEST_ROTATE" // the folder to rotate the key of
	envPoint  = "STORE_TEST_POINT"  // where to die
)

// TestMain is also the program that the kill test starts and kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(envRotate); dir != "" {
		s, err := store.Open(context.Background(), store.Config{Dir: dir, Clock: headlessly.SystemClock, Logger: slog.New(slog.DiscardHandler), Point: func(name string) {
			if name == os.Getenv(envPoint) {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // until it arrives
			}
		}})
		if err == nil {
			_, err = s.RotateSeal(context.Background())
		}
		if err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1) // it was to be killed
	}
	os.Exit(m.Run())
}

// keyIDs are the ids of the keys in a folder's seal.key.
func keyIDs(t testing.TB, dir string) (ids []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Key []struct {
			KeyID json.Number `json:"keyId"`
		} `json:"key"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Key {
		ids = append(ids, k.KeyID.String())
	}
	return ids
}

// fill puts credentials and a deletion that is under way.
func fill(t testing.TB, s *store.Store) map[string]map[string]headlessly.Secret {
	t.Helper()
	want := map[string]map[string]headlessly.Secret{}
	for i := range 20 {
		id := fmt.Sprint("integration_", i)
		want[id] = map[string]headlessly.Secret{"apiKey": headlessly.NewSecret("key " + id), "webhookSecret": headlessly.NewSecret("whsec_ " + id)}
		if err := s.PutCredentials(t.Context(), "acme", id, want[id]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.BeginForget(t.Context(), &store.Forget{ID: "forget_1", Tenant: "acme", At: 1, Users: []string{"ada"}}); err != nil {
		t.Fatal(err)
	}
	return want
}

// same compares what a store has with what was put.
func same(t testing.TB, s *store.Store, want map[string]map[string]headlessly.Secret) {
	t.Helper()
	for id, secrets := range want {
		if got := s.Credentials(id); !reflect.DeepEqual(got, secrets) {
			t.Errorf("%s: got %d credentials, want what was put", id, len(got))
		}
	}
	if f, err := s.PendingForgets(t.Context()); err != nil || len(f) != 1 || !reflect.DeepEqual(f[0].Users, []string{"ada"}) {
		t.Errorf("the deletion: got %+v, %v", f, err)
	}
	if forgotten := s.Forgotten("acme"); forgotten == nil || !forgotten("ada", "") || forgotten("bob", "") {
		t.Error("who is forgotten has been forgotten")
	}
}

func TestARotationSealsEverythingAnew(t *testing.T) {
	dir := t.TempDir()
	s, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	want := fill(t, s)
	before := keyIDs(t, dir)
	stolen, err := os.ReadFile(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.RotateSeal(t.Context())
	if err != nil || n != 43 { // 40 credentials, the deletion, the two secrets that deletions need
		t.Fatalf("got %d, %v; want 43 sealed anew", n, err)
	}
	after := keyIDs(t, dir)
	if len(before) != 1 || len(after) != 1 || before[0] == after[0] {
		t.Errorf("got the keys %v, before it %v; want one, and another one", after, before)
	}
	same(t, s, want)
	if err := s.PutCredentials(t.Context(), "acme", "integration_new", map[string]headlessly.Secret{"apiKey": headlessly.NewSecret("x")}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	same(t, again, want)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	// The old key opens nothing any more.
	if err := os.WriteFile(filepath.Join(dir, "seal.key"), stolen, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir); err == nil || !strings.Contains(err.Error(), "decryption failed") {
		t.Errorf("with the old key: got %v, want nothing to open", err)
	}
}

func TestARotationThatIsKilledCostsNothing(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		point string
		keys  int // in the file after it
	}{
		{"both keys", 2}, {"in the middle", 2}, {"before the commit", 2}, {"sealed anew", 2}, {"before the old key goes", 2},
	} {
		t.Run(c.point, func(t *testing.T) {
			dir := t.TempDir()
			s, err := open(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			want := fill(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			before := keyIDs(t, dir)
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = append(os.Environ(), envRotate+"="+dir, envPoint+"="+c.point)
			out, err := cmd.CombinedOutput()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("it was not killed: %v %s", err, out)
			}
			if n := len(keyIDs(t, dir)); n != c.keys {
				t.Errorf("%d keys in the file, want %d", n, c.keys)
			}
			if s, err = open(t, dir); err != nil {
				t.Fatalf("after the kill: %v", err)
			}
			same(t, s, want)
			if _, err := s.RotateSeal(t.Context()); err != nil {
				t.Fatalf("the rotation after it: %v", err)
			}
			if ids := keyIDs(t, dir); len(ids) != 1 || ids[0] == before[0] {
				t.Errorf("got the keys %v in the end, at first %v", ids, before)
			}
			same(t, s, want)
		})
	}
}

// random is a key as the environment holds it.
func random(fill byte) headlessly.Secret {
	return headlessly.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, 32)))
}

func TestASealKeyIsWrappedWithOneFromTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	with := func(key, before headlessly.Secret) (*store.Store, error) {
		t.Helper()
		s, err := store.Open(t.Context(), store.Config{Dir: dir, Clock: headlessly.SystemClock, Logger: slog.New(slog.DiscardHandler), SealKey: key, SealKeyBefore: before})
		if err == nil {
			t.Cleanup(func() { _ = s.Close() })
		}
		return s, err
	}
	clear := func() bool {
		raw, err := os.ReadFile(filepath.Join(dir, "seal.key"))
		if err != nil {
			t.Fatal(err)
		}
		return !bytes.Contains(raw, []byte("encryptedKeyset"))
	}
	none := headlessly.Secret{}
	s, err := with(none, none)
	if err != nil {
		t.Fatal(err)
	}
	want := fill(t, s)
	if !clear() {
		t.Error("it is wrapped, with nothing")
	}
	for _, c := range []struct {
		name        string
		key, before headlessly.Secret
		says        string // "" for it opens
	}{
		{"a file in clear is wrapped", random(1), none, ""},
		{"and opens with that key", random(1), none, ""},
		{"and with no other", random(2), none, "not the key that it is wrapped with"},
		{"and not without", none, none, "set " + store.EnvSealKey},
		{"another key takes its place", random(2), random(1), ""},
		{"and the one before is of no use", random(1), none, "not the key that it is wrapped with"},
		{"a key that is too short", headlessly.NewSecret("c2hvcnQ="), none, "32 random bytes"},
		{"a key that is not base64", headlessly.NewSecret("!"), none, "openssl rand -base64 32"},
	} {
		s, err := with(c.key, c.before)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.says)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		same(t, s, want)
		if clear() {
			t.Errorf("%s: the file is in clear", c.name)
		}
	}
	if s, err = with(random(2), none); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RotateSeal(t.Context()); err != nil || clear() {
		t.Errorf("a rotation of a wrapped key: %v, in clear: %v", err, clear())
	}
	same(t, s, want)
}
