// Package alerts watches metrics: an entity of type Alert names a metric, a
// threshold and a direction, and its status says whether the metric is beyond.
//
//	watch := alerts.New(graph, sources...)
//	go watch.Run(ctx, tenants)
//	list, err := watch.Check(ctx, "acme")
//
// When an alert begins or ends to hold, [Watch.Check] records Alert.Triggered
// or Alert.Cleared once, also when several gateways look at the same time, so
// hooks, webhooks and streams tell of it. A metric that nobody knows leaves the
// alert's status as it is and is shown as Unknown.
package alerts
