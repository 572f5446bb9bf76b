package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/gateway"
)

// finding is one thing that doctor looked at.
type finding struct {
	what   string
	state  string // ok, note, fault
	detail string
	advice string // what to do, unless ok
}

const (
	stateOK    = "ok"
	stateNote  = "note"
	stateFault = "fault"
)

func doctorCommand(stdio IO) *cobra.Command {
	var t target
	var file string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check configuration, disk, clock, gateway and providers, and say what to do",
		Example: `  headlessly doctor
  headlessly doctor --config /etc/headlessly.yaml --data /var/lib/headlessly`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return report(stdio.Out, examine(c.Context(), &t, file))
		},
	}
	t.flags(c)
	c.Flags().StringVar(&file, "config", "", "configuration file to check")
	return c
}

// report writes the findings and fails if there is a fault among them.
func report(w io.Writer, list []finding) error {
	faults := 0
	for _, f := range list {
		mark := map[string]string{stateOK: paint(w, "32", "✓"), stateNote: paint(w, "33", "!"), stateFault: paint(w, "31", "✗")}[f.state]
		if _, err := fmt.Fprintf(w, "%s %-14s %s\n", mark, f.what, f.detail); err != nil {
			return err
		}
		if f.state != stateOK && f.advice != "" {
			if _, err := fmt.Fprintf(w, "  %-14s → %s\n", "", f.advice); err != nil {
				return err
			}
		}
		if f.state == stateFault {
			faults++
		}
	}
	if faults > 0 {
		return fmt.Errorf("%d of %d checks found a fault", faults, len(list))
	}
	return nil
}

func examine(ctx context.Context, t *target, file string) []finding {
	list := []finding{checkConfig(file)}
	local := t.url == "" && os.Getenv("HEADLESSLY_URL") == ""
	if _, err := gateway.ReadCredentials(t.data); err == nil && local {
		list = append(list, checkFolder(t.data), checkSpace(t.data))
	}
	if err := t.resolve(); err != nil {
		return append(list, finding{"gateway", stateFault, err.Error(), "start one with headlessly serve, or name one with --url and HEADLESSLY_API_KEY"})
	}
	reach, ok := checkGateway(ctx, t)
	list = append(list, reach...)
	if !ok {
		return list
	}
	return append(list, checkStatus(ctx, t)...)
}

func checkConfig(file string) finding {
	if file == "" {
		return finding{"configuration", stateOK, "none named: the built-in defaults", ""}
	}
	cfg, err := config.Load(file)
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return finding{"configuration", stateFault, strings.ReplaceAll(err.Error(), "\n", "; "), "mend " + file + "; headlessly config check lists every fault"}
	}
	return finding{"configuration", stateOK, file, ""}
}

func checkFolder(data string) finding {
	info, err := os.Stat(data)
	if err != nil {
		return finding{"data folder", stateFault, err.Error(), "give the folder to the user that runs the gateway"}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return finding{"data folder", stateNote, fmt.Sprintf("%s may be read by others (%v)", data, info.Mode().Perm()), "the seal key lies in it: chmod 700 " + data}
	}
	probe, err := os.CreateTemp(data, ".doctor-*")
	if err != nil {
		return finding{"data folder", stateFault, err.Error(), "the folder must be writable for the gateway's user"}
	}
	_, err = probe.WriteString("probe")
	err = errors.Join(err, probe.Sync(), probe.Close(), os.Remove(probe.Name()))
	if err != nil {
		return finding{"data folder", stateFault, err.Error(), "the disk does not take writes: look at the system's log"}
	}
	abs, err := filepath.Abs(data)
	if err != nil {
		abs = data
	}
	return finding{"data folder", stateOK, abs + ", writable, synced", ""}
}

func checkSpace(data string) finding {
	free, total, err := diskSpace(data)
	if err != nil {
		return finding{"disk", stateNote, err.Error(), ""}
	}
	reserve := uint64(config.Default().Log.Reserve) //nolint:gosec // a size
	detail := fmt.Sprintf("%.1f of %.1f GiB free", gib(free), gib(total))
	switch {
	case free < reserve:
		return finding{"disk", stateFault, detail, "events are refused below the reserve of " + config.Default().Log.Reserve.String() + ": free space, or lower lakehouse retention"}
	case free < 5*reserve:
		return finding{"disk", stateNote, detail, "little is left: events are refused below " + config.Default().Log.Reserve.String()}
	}
	return finding{"disk", stateOK, detail, ""}
}

func gib(bytes uint64) float64 { return float64(bytes) / (1 << 30) }

// clockTolerance is how far the gateway's clock may be from this machine's:
// its Date header knows seconds, and a call takes time.
const clockTolerance = 5 * time.Second

// checkGateway looks whether the gateway answers, takes events, and has the
// right time.
func checkGateway(ctx context.Context, t *target) (list []finding, ok bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(t.url, "/")+"/readyz", http.NoBody)
	if err != nil {
		return []finding{{"gateway", stateFault, err.Error(), "the address looks like http://127.0.0.1:8081"}}, false
	}
	res, err := new(http.Client).Do(req)
	if err != nil {
		return []finding{{"gateway", stateFault, err.Error(), "start it with headlessly serve, or name the right control address with --url"}}, false
	}
	defer res.Body.Close() //nolint:errcheck // read below
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return []finding{{"gateway", stateFault, err.Error(), ""}}, false
	}
	if res.StatusCode != http.StatusOK {
		list = append(list, finding{"gateway", stateFault, "does not take events: " + strings.TrimSpace(string(body)), "a full disk is mended by space; after a failed fsync restart the gateway"})
	} else {
		list = append(list, finding{"gateway", stateOK, t.url + " takes events", ""})
	}
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		if off := headlessly.SystemClock().Sub(at); off > clockTolerance || off < -clockTolerance {
			list = append(list, finding{"clock", stateFault, fmt.Sprintf("the gateway's clock is %s away from this machine's", off.Abs().Round(time.Second)), "set both by NTP: signatures and sessions depend on it"})
		} else {
			list = append(list, finding{"clock", stateOK, "agrees with the gateway's", ""})
		}
	}
	return list, true
}

// checkStatus looks at the tenant's integrations and deliveries.
func checkStatus(ctx context.Context, t *target) []finding {
	var status struct {
		Destinations map[string]struct{ Parked, Dead, Unknown int64 } `json:"destinations"`
		Lakehouse    struct {
			LastError string `json:"lastError"`
			Rows      int64  `json:"rows"`
		} `json:"lakehouse"`
	}
	if err := t.get(ctx, "status", &status); err != nil {
		return []finding{{"key", stateFault, err.Error(), "HEADLESSLY_API_KEY must be a secret key of the tenant " + t.tenant}}
	}
	list := []finding{{"key", stateOK, "opens tenant " + t.tenant, ""}}
	if e := status.Lakehouse.LastError; e != "" {
		list = append(list, finding{"lakehouse", stateFault, e, "nothing is lost meanwhile: the log keeps it; look at the catalog and the object store"})
	} else {
		list = append(list, finding{"lakehouse", stateOK, fmt.Sprintf("%d rows written since its start", status.Lakehouse.Rows), ""})
	}
	list = append(list, checkIntegrations(ctx, t)...)
	for name, d := range status.Destinations {
		if d.Dead > 0 || d.Parked > 0 || d.Unknown > 0 {
			list = append(list, finding{name, stateNote, fmt.Sprintf("%d events wait for another try, %d were refused for good, %d were sent without an answer", d.Parked, d.Dead, d.Unknown), "headlessly deliveries says why; headlessly replay --destination " + name + " sends them again"})
		}
	}
	return list
}

func checkIntegrations(ctx context.Context, t *target) (list []finding) {
	var page struct {
		Results []struct {
			ID       string `json:"$id"`
			Provider string `json:"provider"`
			Status   string `json:"status"`
			Error    string `json:"error"`
		} `json:"results"`
	}
	if err := t.get(ctx, "Integration?limit=100", &page); err != nil {
		return []finding{{"integrations", stateFault, err.Error(), ""}}
	}
	if len(page.Results) == 0 {
		return []finding{{"integrations", stateNote, "none is connected", "headlessly Integration.connect --help"}}
	}
	for _, i := range page.Results {
		switch i.Status {
		case "Errored":
			list = append(list, finding{i.Provider, stateFault, "Errored: " + i.Error, "give it a new credential with headlessly Integration.connect --provider " + i.Provider + ", or try again with headlessly Integration.sync " + i.ID})
		case "Disconnected":
			list = append(list, finding{i.Provider, stateNote, "disconnected", ""})
		default:
			list = append(list, finding{i.Provider, stateOK, i.Status, ""})
		}
	}
	return list
}
