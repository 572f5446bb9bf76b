// Package analytics reads and checks the destinations of an analytics
// integration: Integration.connect with provider "analytics".
//
// [Parse] reads the "destinations" argument strictly and reports every fault at
// once; [Merge] lays newly connected destinations over those that are there.
package analytics
