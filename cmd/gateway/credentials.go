package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/headlessly/headlessly"
)

// Credentials is what the command line needs to reach a gateway on this
// machine. They lie in the data folder, readable by its owner only.
type Credentials struct {
	URL       string `json:"url"`
	Tenant    string `json:"tenant"`
	PublicKey string `json:"publicKey"`
	SecretKey string `json:"secretKey"`
	AdminKey  string `json:"adminKey"`
}

const credentialsFile = "credentials.json"

// ReadCredentials reads the credentials of the gateway whose data folder is
// dir. The error is fs.ErrNotExist where there has been none.
func ReadCredentials(dir string) (Credentials, error) {
	var c Credentials
	path := filepath.Join(dir, credentialsFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read credentials: %w", err)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("read credentials %s: %w", path, err)
	}
	return c, nil
}

func writeCredentials(dir string, c Credentials) error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return headlessly.WriteFile(filepath.Join(dir, credentialsFile), append(raw, '\n'))
}

func noCredentials(err error) bool { return errors.Is(err, fs.ErrNotExist) }
