// Package posthog sends events to PostHog, in batches to /batch/.
//
// [Kind] is the registry's entry. Payloads are posthog-go's capture message;
// the sending is ours. The message id is the event's uuid and the timestamp is
// the event's own, both the same on every try, because PostHog drops a
// duplicate by uuid, event, timestamp and visitor; sent_at is never sent, for
// PostHog would shift the time by it. Events older than 48 hours go as
// historical_migration. A batch that is too big (413) is halved.
//
//	page         $pageview          identify  $identify with $set
//	pageleave    $pageleave         group     $groupidentify
//	screen       $screen            alias     $create_alias
//	track, form  by name            error     $exception with $exception_list
//	click        $autocapture       vital     $web_vitals
//
// Session events are not sent: PostHog makes sessions from $session_id.
package posthog
