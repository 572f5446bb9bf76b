package collector

// Queued gives how many requests wait for their turn to reach the log.
func (c *Collector) Queued() int { return c.door.toLog.waits() }

// LetGo is closed once no refusal is held back any more.
func (c *Collector) LetGo() <-chan struct{} { return c.pace.ended }
