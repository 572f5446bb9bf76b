// Package github is the provider "github": repositories are Projects, issues
// and pull requests are Issues, their comments are Comments, both ways.
//
// It is connected with a token, or as a GitHub App with appId, installationId
// and credentials {"privateKey": PEM}; apiBaseUrl names a GitHub Enterprise
// Server. owner or repos say which repositories; without either they are all
// that the credential sees.
//
// # How objects are known
//
// A Project's githubId is the repository's number, which a rename keeps. An
// Issue's is the repository's number and its own, "1296269/1347": the one name
// that issues, pull requests and comments agree on. A Comment's is its number.
//
// # What changes at GitHub
//
// Creating an Issue in a Project that has a repository opens an issue there;
// complete closes it as completed, close as not planned, reopen opens it again;
// titles, texts, labels, assignee and milestone follow. Comments likewise. What
// we make carries its event's id in a comment of the text that GitHub does not
// show, so that it is recognised when an answer was lost.
//
// # How changes come
//
// A webhook is registered at each repository (signed with SHA-256; a SHA-1
// signature does not count), and every ten minutes what changed since the last
// time is read, and deliveries that failed are asked for again: GitHub never
// sends one again by itself. Reads carry ETags; what has not changed costs
// nothing of the rate limit.
package github
