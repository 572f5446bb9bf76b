package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// Shape of the freshness measurement.
const (
	freshRate    = 200 // events a second beside the probes
	freshProbes  = 100
	freshWarm    = 3 * time.Second // of load before the first probe
	freshPause   = 150 * time.Millisecond
	freshTimeout = 30 * time.Second // for one event to be seen
)

// lake measures the writer and the SQL beside their yardsticks, in a program of
// its own because DuckDB is one of them, and then how soon an acknowledged event
// can be queried.
func lake(ctx context.Context, w io.Writer, bin, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "run", "./lakehouse/lakebench")
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Run(); err != nil {
		return err
	}
	return fresh(ctx, w, bin, dir)
}

// fresh measures the time from a 202 until a query's answer holds the event,
// while others arrive.
func fresh(ctx context.Context, w io.Writer, bin, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	control, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	g, err := startGateway(ctx, bin, dir, "--control", control)
	if err != nil {
		return err
	}
	defer g.stop() //nolint:errcheck // stopped below, this is for errors on the way
	var keys struct{ SecretKey string }
	raw, err := os.ReadFile(filepath.Join(dir, "data", "credentials.json"))
	if err == nil {
		err = json.Unmarshal(raw, &keys)
	}
	if err != nil {
		return fmt.Errorf("read credentials: %w", err)
	}
	collect := "http://" + g.addr + "/e?t=default"
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	seconds := (freshWarm + freshProbes*freshPause).Seconds() + 120 // longer than the probes take; stopped with them
	wait, err := clients(loadCtx, spec{URL: collect, Kind: "single", Conns: 16, Rate: freshRate, Seconds: seconds})
	if err != nil {
		return err
	}
	pause(ctx, freshWarm)
	var took []time.Duration
	asked := 0
	for n := range freshProbes {
		d, queries, err := probe(ctx, collect, "http://"+control+"/~default/sql", keys.SecretKey, fmt.Sprintf("Probe %d", n))
		if err != nil {
			return err
		}
		took = append(took, d)
		asked += queries
		pause(ctx, freshPause)
	}
	stop()
	_, _ = wait() // it was stopped
	slices.Sort(took)
	fmt.Fprintf(w, "freshness at %d events/s: from the 202 to the answer of SQL that holds the event p50 %.0f ms, p99 %.0f ms (aim 1000); %.2f queries were needed for each of %d\n",
		freshRate, ms(took[len(took)/2]), ms(took[len(took)*99/100]), float64(asked)/freshProbes, freshProbes)
	return g.stop()
}

// probe sends one event and asks for it until it is there.
func probe(ctx context.Context, collect, sql, key, name string) (took time.Duration, queries int, err error) {
	body := fmt.Appendf(nil, `{"type":"track","event":%q,"anonymousId":"probe","ts":%d}`, name, time.Now().UnixMilli())
	if _, err := request(ctx, collect, "", body, http.StatusAccepted); err != nil {
		return 0, 0, err
	}
	acknowledged := time.Now()
	query, err := json.Marshal(map[string]any{"sql": "SELECT count(*) AS n FROM events WHERE event = ?", "parameters": []string{name}, "format": "csv"})
	if err != nil {
		return 0, 0, err
	}
	for {
		answer, err := request(ctx, sql, key, query, http.StatusOK)
		if err != nil {
			return 0, 0, err
		}
		queries++
		if bytes.HasSuffix(bytes.TrimSpace(answer), []byte("\n1")) {
			return time.Since(acknowledged), queries, nil
		}
		if time.Since(acknowledged) > freshTimeout {
			return 0, 0, fmt.Errorf("%s is not there after %s: %s", name, freshTimeout, answer)
		}
	}
}

func request(ctx context.Context, url, key string, body []byte, status int) (answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := new(http.Client).Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	answer, err = io.ReadAll(res.Body)
	if err == nil && res.StatusCode != status {
		err = fmt.Errorf("%s answers %d: %s", url, res.StatusCode, answer)
	}
	return answer, err
}
