package eventlog

// WithoutSync is a mutant: a log that acknowledges before the fsync.
func WithoutSync(cfg Config) Config {
	cfg.relaxed = true
	return cfg
}

// WithSyncOff asks for a server that does not sync, which Open must refuse.
func WithSyncOff(cfg Config) Config {
	cfg.syncOff = true
	return cfg
}

// WithoutFolderSync is a mutant: new block files' names are not synced.
func WithoutFolderSync(cfg Config) Config {
	cfg.noFolderSync = true
	return cfg
}

// WithFreeSpace answers for the disk.
func WithFreeSpace(cfg Config, free func() int64) Config {
	cfg.freeSpace = free
	return cfg
}

// Keep applies retention now.
func Keep(l *Log) error { return l.keep(l.stopped) }
