// Package gateway puts the parts together into one running process: the log,
// the collector that fills it, and its readers (router, lakehouse writer),
// with the control plane beside them.
//
// [Open] makes everything ready without answering anybody, [Gateway.Run]
// answers until its context ends and then drains: listeners closed, requests
// finished, the open frame synced, readers stopped. A reader that fails is
// started again and never touches the collector.
package gateway
