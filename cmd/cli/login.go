package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/gateway"
)

// loginFile is where a login is kept: the user's configuration folder, readable
// by the user only.
func loginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "headlessly", "login.json"), nil
}

// savedLogin gives what the last login stored.
func savedLogin() (gateway.Credentials, bool) {
	var c gateway.Credentials
	path, err := loginFile()
	if err != nil {
		return c, false
	}
	raw, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(raw, &c) != nil || c.URL == "" {
		return c, false
	}
	return c, true
}

func loginCommand(stdio IO) *cobra.Command {
	var t target
	var keyFile string
	var out bool
	c := &cobra.Command{
		Use:   "login",
		Short: "Keep a gateway's address and key for the next commands",
		Long: `Keep a gateway's address, tenant and secret key in your configuration folder
(readable by you only), after a look whether they work. The key is asked for, or
read from HEADLESSLY_API_KEY or a file; it is never an argument.`,
		Example: `  headlessly login --url https://control.example.com --tenant my-startup
  headlessly login --url http://127.0.0.1:8081 --tenant default --key-file key.txt
  headlessly login --out`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			path, err := loginFile()
			if err != nil {
				return err
			}
			if out {
				if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
					return err
				}
				_, err := fmt.Fprintln(stdio.Out, "logged out")
				return err
			}
			return login(c.Context(), t, keyFile, path, stdio)
		},
	}
	t.flags(c)
	c.Flags().StringVar(&keyFile, "key-file", "", "read the key from this file (- is standard input)")
	c.Flags().BoolVar(&out, "out", false, "forget the login")
	return c
}

func login(ctx context.Context, t target, keyFile, path string, stdio IO) (err error) {
	if t.url == "" {
		t.url = os.Getenv("HEADLESSLY_URL")
	}
	if t.tenant == "" {
		t.tenant = os.Getenv("HEADLESSLY_TENANT")
	}
	if t.url == "" || t.tenant == "" {
		return usageError{errors.New("name the gateway: headlessly login --url https://control.example.com --tenant my-startup")}
	}
	switch {
	case keyFile == "-":
		t.key, err = readText(stdio.In)
	case keyFile != "":
		t.key, err = readFileText(keyFile)
	case os.Getenv("HEADLESSLY_API_KEY") != "":
		t.key = os.Getenv("HEADLESSLY_API_KEY")
	default:
		t.key, err = prompt(stdio, "secret key (hly_sk_…): ")
	}
	if err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	if t.key = strings.TrimSpace(t.key); !strings.HasPrefix(t.key, "hly_sk_") && !strings.HasPrefix(t.key, "hly_admin_") {
		return usageError{errors.New("that is no secret key: it begins with hly_sk_")}
	}
	t.url = strings.TrimRight(t.url, "/")
	res, err := t.call(ctx, http.MethodGet, "status", nil)
	if err != nil {
		return fmt.Errorf("the gateway does not take it: %w", err)
	}
	_ = res.Close()
	raw, err := json.MarshalIndent(gateway.Credentials{URL: t.url, Tenant: t.tenant, SecretKey: t.key}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := headlessly.WriteFile(path, append(raw, '\n')); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdio.Out, "logged in to %s as %s; kept in %s\n", t.url, t.tenant, path)
	return err
}
