// Package mcp lets agents use the graph over the Model Context Protocol, with
// exactly three tools:
//
//   - search finds entities: {"type":"Integration","filter":{"status":"Active"}}, or by a text.
//   - fetch reads one by its id, or a Schema, the Status, a Metric.
//   - do runs TypeScript with $ in the sandbox: await $.Integration.connect({ … })
//
// Documents are resources, and common jobs are prompts, whose arguments are
// completed. Few tools cost an agent
// little of its context; what they can do is in the schema, which fetch gives
// piece by piece.
//
// [Server.Serve] speaks streamable HTTP without sessions: each request stands
// for itself, authenticated by the caller's key, so any gateway of a cluster may
// answer it and a revoked key stops at once. An answer has a structured part
// and the same as a text. A fault of a call is an answer with isError and the
// error body of REST, not a fault of the protocol: the agent reads it and tries
// again.
package mcp
