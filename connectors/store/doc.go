// Package store keeps tenants, keys, the credentials of integrations and where
// their syncs stand in one SQLite file.
//
// [Open] it once; keys and credentials are answered from memory, writes go to
// disk before they return. Keys are stored as SHA-256 only. Credentials are
// sealed (tink AEAD) with a key that lies beside the database, readable by the
// owner only, and bound to their tenant, integration and field: one that is
// copied elsewhere does not open. [Store.RotateSeal] seals everything anew with a
// new key.
//
// The integrations themselves are entities of the graph.
package store
