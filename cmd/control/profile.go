package control

import (
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/headlessly/headlessly"
)

// profile serves Go's profiles to whoever has an admin key.
func (p *Plane) profile(w http.ResponseWriter, r *http.Request) {
	_, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if k, ok := p.cfg.Store.Authenticate(value); !ok || k.Kind != headlessly.KeyAdmin {
		writeError(w, http.StatusForbidden, "forbidden", "key", "profiles want an admin key (hly_admin_…)")
		return
	}
	switch name := strings.TrimPrefix(r.URL.Path, "/debug/pprof/"); name {
	case "profile":
		pprof.Profile(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r)
	}
}
