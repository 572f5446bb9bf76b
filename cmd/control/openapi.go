package control

import (
	"net/http"

	"github.com/headlessly/headlessly/cmd/control/openapi"
)

// apiVersion is the version of the control plane's interface.
const apiVersion = "1"

// defaultTenant is what /openapi.json, which is nobody's, names as an example.
const defaultTenant = "default"

// openapi answers the document of what the control plane takes and answers. It
// says nothing of what is stored, so it wants no key.
func (p *Plane) openapi(w http.ResponseWriter, tenant string) {
	if p.cfg.Graph == nil {
		writeError(w, http.StatusNotFound, "not_found", "", "there is no graph")
		return
	}
	doc, err := openapi.Document(p.cfg.Graph.Types(), apiVersion, tenant)
	if err != nil {
		p.cfg.Logger.Error("control.openapi", "error", err)
		writeError(w, http.StatusInternalServerError, "internal", "", "the gateway has a fault; its log says more")
		return
	}
	writeRaw(w, http.StatusOK, append(doc, '\n'))
}
