package collector

// Queued gives how many requests wait for their turn to reach the log.
func (c *Collector) Queued() int { return c.door.toLog.waits() }
