// Package replays runs replays as jobs: each has an id, can be watched,
// stopped and resumed, and goes on by itself after a restart.
//
//	jobs, err := replays.Open(replays.Config{Dir: dir, Replay: router.Replay, Sources: sources})
//	go jobs.Run(ctx)
//	job, err := jobs.Start(replays.Request{Tenant: "acme", Destination: "posthog", From: "log"})
//
// A job is two files in its folder: ID.json is what [Job] shows at its start and
// its end, and ID.done the places in the log of the events that are done (a
// roaring bitmap) with the report of them behind it, so that a source may give
// events in any order and an interrupted job leaves out what was sent. ID.done is
// written every second, and both survive a power cut: after a crash the events of
// the last second are sent again, with the ids and timestamps of the first time.
package replays
