package sinks

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
)

// received answers what arrived as JSON: ?kind= and ?limit= (newest first).
func (s *Sinks) received(w http.ResponseWriter, r *http.Request) {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit <= 0 {
		limit = 1000
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"counts": s.Counts(), "violations": s.Violations(), "events": s.newest(r.URL.Query().Get("kind"), limit),
	})
}

func (s *Sinks) newest(kind string, limit int) []Event {
	all := s.Events(kind)
	out := make([]Event, 0, min(limit, len(all)))
	for i := len(all) - 1; i >= 0 && len(out) < limit; i-- {
		out = append(out, all[i])
	}
	return out
}

// page shows what arrived to a person.
func (s *Sinks) page(w http.ResponseWriter, r *http.Request) {
	kind := r.URL.Query().Get("kind")
	var out bytes.Buffer
	err := template.Must(template.New("page").Funcs(template.FuncMap{"pretty": pretty}).Parse(pageHTML)).Execute(&out, map[string]any{
		"Kinds": []string{GA4, Sentry, PostHog, Hook}, "Kind": kind, "Counts": s.Counts(),
		"Events": s.newest(kind, 200), "Violations": s.Violations(),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(out.Bytes())
}

func pretty(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") != nil {
		return string(raw)
	}
	return out.String()
}

const pageHTML = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sinks — what would be sent</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1c1c28;background:#fff}
h1{font-size:1.4rem;margin:0 0 .25rem}p{color:#55556a;margin:.25rem 0 1rem}
nav a{display:inline-block;padding:.35rem .8rem;margin:0 .4rem .4rem 0;border:1px solid #d7d7e2;border-radius:.5rem;color:inherit;text-decoration:none}
nav a.on{background:#1c1c28;color:#fff}
details{border:1px solid #e3e3ec;border-radius:.5rem;margin:.4rem 0;padding:.5rem .8rem}
summary{cursor:pointer;display:flex;gap:.8rem;flex-wrap:wrap;align-items:baseline}
summary b{min-width:10rem}small{color:#66667a}
pre{overflow:auto;background:#f6f6fa;padding:.8rem;border-radius:.4rem;font-size:13px}
.bad{color:#a3161f}
@media(prefers-color-scheme:dark){body{background:#14141c;color:#e8e8f0}p,small{color:#a0a0b4}details,nav a{border-color:#33334a}nav a.on{background:#e8e8f0;color:#14141c}pre{background:#1d1d29}.bad{color:#ff8a8f}}
</style>
<h1>What would be sent</h1>
<p>Local stand-ins for Google Analytics 4, Sentry and PostHog. Nothing leaves this machine. Reload for news; <a href="/_/received">JSON</a>.</p>
<nav><a href="/"{{if eq .Kind ""}} class="on"{{end}}>all</a>{{range .Kinds}}<a href="/?kind={{.}}"{{if eq . $.Kind}} class="on"{{end}}>{{.}} {{index $.Counts.Events .}}</a>{{end}}</nav>
{{if .Violations}}<details class="bad"><summary><b>{{len .Violations}} problems</b><small>what the provider would drop, cut or refuse</small></summary><pre>{{range .Violations}}{{.}}
{{end}}</pre></details>{{end}}
{{range .Events}}<details><summary><b>{{.Name}}</b><span>{{.Kind}} {{.Project}}</span><small>{{.At.Format "15:04:05.000"}} · {{.Visitor}}{{if .Duplicate}} · duplicate{{end}}</small>{{if .Violations}}<span class="bad">{{len .Violations}} problems</span>{{end}}</summary>
{{if .Violations}}<pre class="bad">{{range .Violations}}{{.}}
{{end}}</pre>{{end}}<pre>{{pretty .Payload}}</pre></details>
{{else}}<p>Nothing has arrived yet.</p>{{end}}
</html>
`
