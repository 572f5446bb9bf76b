package control

import (
	"net/http"
	"sync"
)

// maxRunning bounds the queries whose progress is remembered; beyond it a
// query runs unwatched.
const maxRunning = 1000

// running remembers how far the queries under way are.
type running struct {
	mu sync.Mutex
	at map[[2]string]float64 // by tenant and query id
}

// begin gives the function that is told of progress.
func (r *running) begin(tenant, id string) func(float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = map[[2]string]float64{}
	}
	if len(r.at) >= maxRunning {
		return nil
	}
	r.at[[2]string{tenant, id}] = 0
	return func(share float64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, ok := r.at[[2]string{tenant, id}]; ok {
			r.at[[2]string{tenant, id}] = share
		}
	}
}

func (r *running) end(tenant, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.at, [2]string{tenant, id})
}

// progress answers GET /~{tenant}/sql/{id}.
func (p *Plane) progress(c call, id string) {
	p.running.mu.Lock()
	share, ok := p.running.at[[2]string{c.tenant, id}]
	p.running.mu.Unlock()
	if !ok {
		writeError(c.w, http.StatusNotFound, "not_found", "id", "no such query is running")
		return
	}
	writeJSON(c.w, http.StatusOK, map[string]float64{"progress": share})
}
