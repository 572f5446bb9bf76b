// Package slack is the provider "slack": it posts matched events to a channel
// through an incoming webhook, as Block Kit messages that people read.
//
// A message says what happened to what, shows the fields that matter, and when
// and by whom. The argument templates replaces the first line, by event:
//
//	{"Deal.Closed": "*{{name}}* closed at {{value}} {{currency}}"}
//
// Slack takes one message a second for a webhook: what has gathered meanwhile
// goes into one message, and Retry-After is kept to. Whether the webhook works
// is tried at connect with a message without text, which Slack refuses without
// posting anything.
package slack
