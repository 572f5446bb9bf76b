// Package store keeps tenants, keys and integrations in one SQLite file.
//
// [Open] it once; reads are answered from memory, writes go to disk before
// they return. Keys are stored as SHA-256 only. Credentials of providers are
// sealed (tink AEAD) with a key that lies beside the database, readable by the
// owner only, and bound to their tenant, integration and field.
//
// The store implements the collector's Directory and the router's
// headlessly.DestinationSource.
package store
