create table if not exists endpoints (
	n integer primary key, tenant text not null, id text not null,
	seq integer not null,                    -- events up to here have been taken
	stopped text not null default '',        -- why nothing is sent; '' while it is
	failing text not null default '',        -- the last fault that parked a delivery
	expired integer not null default 0,      -- rows removed by age or number
	gone integer not null default 0,         -- disconnected: its rows are kept for reading
	unique (tenant, id)
);
create table if not exists deliveries (
	endpoint integer not null, seq integer not null,
	state integer not null,                  -- 0 pending, 1 delivered, 2 parked
	in_order integer not null,               -- sent one by one, in the order of seq
	attempts integer not null default 0, due integer not null, -- µs
	event text not null, name text not null, target text not null, at integer not null,
	tried integer not null default 0, took integer not null default 0, -- µs, of the last attempt
	status integer not null default 0, note text not null default '', replays integer not null default 0,
	primary key (endpoint, seq)
) without rowid;
create index if not exists deliveries_due on deliveries (endpoint, in_order, due, seq) where state = 0;
create index if not exists deliveries_head on deliveries (endpoint, seq) where state = 0 and in_order = 1;
create index if not exists deliveries_parked on deliveries (endpoint, seq) where state = 2;
create unique index if not exists deliveries_event on deliveries (endpoint, event);
-- attempts are those that failed; a delivery's row has its last one.
create table if not exists attempts (
	endpoint integer not null, seq integer not null, n integer not null,
	at integer not null, took integer not null, status integer not null, note text not null,
	primary key (endpoint, seq, n)
) without rowid;
