package control

// Routes lists what the plane serves below /~{tenant}/ besides the entity
// types, as "GET /keys/{id}".
func (p *Plane) Routes() (out []string) {
	for _, r := range p.table() {
		out = append(out, r.method+" "+r.path)
	}
	return out
}
