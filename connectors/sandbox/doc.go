// Package sandbox runs JavaScript and TypeScript of users and agents in child
// processes: MCP's do, and stored handlers.
//
//	box := sandbox.New(sandbox.Default())
//	r, err := box.Run(ctx, sandbox.Program{Source: "return await $.Contact.count()", Host: host})
//
// A program gets $ with every entity type and verb, $.status(), $.events() and
// $.sql; each call is answered by its [Host], so it can do what the host lets it
// do and nothing else: there is no network, no file and no environment. It has
// a memory limit, a deadline at which its process is killed, and a bounded
// number of calls, of changes and of operations (calls of functions and jumps
// inside it). Whatever it does, a crash of the engine
// included, costs one *[Error]; the next program gets a process of its own.
//
// What a program had changed before it failed stays changed: each call is a
// mutation of its own.
package sandbox
