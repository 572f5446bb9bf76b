create table if not exists tenants (
  name text primary key,
  created_at integer not null
) strict;
create table if not exists keys (
  id text primary key,
  tenant text not null,
  kind text not null,
  prefix text not null,
  hash blob not null unique,
  created_at integer not null,
  revoked_at integer
) strict;
-- credentials of integrations, each sealed for its tenant, integration and field
create table if not exists credentials (
  integration text not null,
  field text not null,
  tenant text not null,
  sealed blob not null,
  at integer not null,
  primary key (integration, field)
) strict, without rowid;
-- how far each integration's sync has come
create table if not exists syncs (
  integration text primary key,
  tenant text not null,
  cursor blob,
  complete integer not null, -- 1 once the first sync has ended
  count integer not null,    -- objects of the sync that goes on
  phase text not null,
  started_at integer not null
) strict, without rowid;
-- ids of deliveries, and of objects that are gone
create table if not exists seen (
  integration text not null,
  id text not null,
  at integer not null,
  primary key (integration, id)
) strict, without rowid;
create index if not exists seen_at on seen (at);
-- receipts that could not be mapped yet
create table if not exists waiting (
  n integer primary key autoincrement,
  tenant text not null,
  integration text not null,
  receipt blob not null,
  attempts integer not null,
  not_until integer not null,
  since integer not null,
  error text not null
) strict;
create index if not exists waiting_until on waiting (not_until);
create table if not exists secrets (
  name text primary key,
  sealed blob not null
) strict;
create table if not exists forgotten_ids (
  tenant text not null,
  hash blob not null,
  at integer not null,
  primary key (tenant, hash)
) strict;
create table if not exists forgets (
  id text primary key,
  tenant text not null,
  at integer not null,
  sealed blob,
  receipt text not null default ''
) strict;
