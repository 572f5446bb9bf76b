package store

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/headlessly/headlessly"
)

// Names of what a seal key is wrapped with, in the environment.
const (
	EnvSealKey       = "HEADLESSLY_SEAL_KEY"
	EnvSealKeyBefore = "HEADLESSLY_SEAL_KEY_BEFORE"
)

const wrapBytes = 32 // AES-256

// seal is the keyset that credentials are sealed with, and its file. The file is
// readable by its owner only. Unless it is wrapped, whoever has it and the
// database has the credentials.
type seal struct {
	path   string
	wrap   tink.AEAD // nil for a file in clear
	handle *keyset.Handle
	tink.AEAD
}

// openSeal reads the keyset, or makes one. A file that is in clear, or wrapped
// with the key before, is wrapped with the key that is given.
func openSeal(path string, key, before headlessly.Secret) (*seal, error) {
	s := &seal{path: path}
	var err error
	if s.wrap, err = wrapping(EnvSealKey, key); err != nil {
		return nil, err
	}
	old, err := wrapping(EnvSealKeyBefore, before)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
		if err != nil {
			return nil, fmt.Errorf("make seal key: %w", err)
		}
		return s, s.put(h)
	}
	if err != nil {
		return nil, fmt.Errorf("read seal key: %w", err)
	}
	h, asWanted, err := s.read(raw, old)
	if err != nil {
		return nil, fmt.Errorf("read seal key %s: %w", path, err)
	}
	if !asWanted {
		return s, s.put(h)
	}
	return s, s.use(h)
}

// wrapping reads a key that wraps, nil where none is set.
func wrapping(name string, key headlessly.Secret) (tink.AEAD, error) {
	if !key.Set() {
		return nil, nil //nolint:nilnil // none is wanted
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(key.Reveal()))
	if err != nil || len(raw) != wrapBytes {
		return nil, fmt.Errorf("%s: want %d random bytes in base64, such as openssl rand -base64 %d gives", name, wrapBytes, wrapBytes)
	}
	return subtle.NewAESGCM(raw)
}

// read opens a file; asWanted says that it is wrapped as it is to be.
func (s *seal) read(raw []byte, old tink.AEAD) (h *keyset.Handle, asWanted bool, err error) {
	if !bytes.Contains(raw, []byte(`"encryptedKeyset"`)) {
		h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
		return h, s.wrap == nil, err
	}
	if s.wrap == nil {
		return nil, false, fmt.Errorf("it is wrapped: set %s to the key that it was wrapped with", EnvSealKey)
	}
	if h, err = keyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)), s.wrap); err == nil {
		return h, true, nil
	}
	if old != nil {
		if h, err := keyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)), old); err == nil {
			return h, false, nil
		}
	}
	return nil, false, fmt.Errorf("%s is not the key that it is wrapped with; give that one in %s", EnvSealKey, EnvSealKeyBefore)
}

// put stores a keyset and uses it. It is whole on the disk before it is used.
func (s *seal) put(h *keyset.Handle) error {
	var buf bytes.Buffer
	var err error
	if s.wrap != nil {
		err = h.Write(keyset.NewJSONWriter(&buf), s.wrap)
	} else {
		err = insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&buf))
	}
	if err != nil {
		return fmt.Errorf("write seal key: %w", err)
	}
	if err := headlessly.WriteFile(s.path, buf.Bytes()); err != nil {
		return err
	}
	return s.use(h)
}

func (s *seal) use(h *keyset.Handle) (err error) {
	s.handle = h
	s.AEAD, err = aead.New(h)
	return err
}

// add makes a further key, with which everything is sealed from then on. What
// the others have sealed still opens.
func (s *seal) add() error {
	m := keyset.NewManagerFromHandle(s.handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = m.SetPrimary(id)
	}
	if err != nil {
		return fmt.Errorf("make seal key: %w", err)
	}
	h, err := m.Handle()
	if err != nil {
		return err
	}
	return s.put(h)
}

// retire drops every key but the newest.
func (s *seal) retire() error {
	m := keyset.NewManagerFromHandle(s.handle)
	info := s.handle.KeysetInfo()
	for _, k := range info.GetKeyInfo() {
		if k.GetKeyId() == info.GetPrimaryKeyId() {
			continue
		}
		if err := m.Delete(k.GetKeyId()); err != nil {
			return fmt.Errorf("retire seal key: %w", err)
		}
	}
	h, err := m.Handle()
	if err != nil {
		return err
	}
	return s.put(h)
}
