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
create table if not exists integrations (
  id text primary key,
  tenant text not null,
  provider text not null,
  slug text not null,
  status text not null,
  version integer not null,
  created_at integer not null,
  updated_at integer not null,
  created_by text not null,
  sealed blob,
  error text not null default '',
  unique (tenant, slug)
) strict;
