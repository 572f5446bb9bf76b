package store_test

import (
	"context"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

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

// everything sets each field of a destination to a value of its own, so that a
// field which the seal forgets shows.
func everything(t testing.TB, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		everything(t, v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[headlessly.Secret]() {
			v.Set(reflect.ValueOf(headlessly.NewSecret("secret of a field")))
			return
		}
		for i := range v.NumField() {
			everything(t, v.Field(i))
		}
	case reflect.String:
		v.SetString("text of a field")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		everything(t, v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		everything(t, value)
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
	default:
		t.Fatalf("teach the test about %s", v.Type())
	}
}

func TestEveryFieldOfADestinationSurvivesTheSeal(t *testing.T) {
	dir := t.TempDir()
	s, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	var want headlessly.Destinations
	everything(t, reflect.ValueOf(&want).Elem())
	if _, err := s.ConnectAnalytics(context.Background(), "acme", "apikey_1", want); err != nil {
		t.Fatal(err)
	}
	again, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := again.Destinations("acme"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v\nwant %#v", got, want)
	}
}

func TestASealMovedToAnotherTenantDoesNotOpen(t *testing.T) {
	dir := t.TempDir()
	s, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ConnectAnalytics(context.Background(), "acme", "a", headlessly.Destinations{PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_x")}}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`update integrations set tenant = 'thief'`); err != nil {
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

func TestWhatIsConnectedGoesOverTheConfigurationFile(t *testing.T) {
	s, err := open(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	key := func(v string) headlessly.Destinations {
		return headlessly.Destinations{PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret(v)}}
	}
	s.SetFixed("acme", key("phc_file"))
	if d, _ := s.Destinations("acme"); d.PostHog.APIKey.Reveal() != "phc_file" {
		t.Errorf("got %q", d.PostHog.APIKey.Reveal())
	}
	_, before := s.Destinations("acme")
	i, err := s.ConnectAnalytics(context.Background(), "acme", "a", key("phc_api"))
	if err != nil {
		t.Fatal(err)
	}
	d, after := s.Destinations("acme")
	if d.PostHog.APIKey.Reveal() != "phc_api" || after == before {
		t.Errorf("got %q, version %d after %d", d.PostHog.APIKey.Reveal(), after, before)
	}
	if _, err := s.Disconnect(context.Background(), "acme", i.ID); err != nil {
		t.Fatal(err)
	}
	if d, _ := s.Destinations("acme"); d.PostHog.APIKey.Reveal() != "phc_file" {
		t.Errorf("after disconnect: got %q", d.PostHog.APIKey.Reveal())
	}
}
