package forwarders

// Points of the router's work that a test may stop it at; see Config.Point.
const (
	PointBeforeSend   = "before send"
	PointAfterSend    = "after send"
	PointBeforePark   = "before park"
	PointAfterPark    = "after park"
	PointBeforeRecord = "before record" // of the attempts, in the log
	PointAfterRecord  = "after record"
	PointBeforeCommit = "before commit"
)

func (r *Router) point(name string) {
	if r.cfg.Point != nil {
		r.cfg.Point(name)
	}
}
