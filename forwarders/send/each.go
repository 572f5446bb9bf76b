package send

import (
	"sync"
	"sync/atomic"
)

// Each calls do for 0 to n-1, at most parallel at once, and returns when all
// are done. The goroutines are kept over the calls, so that each grows its
// stack once; the caller's is one of them.
func Each(n, parallel int, do func(i int)) {
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			do(i)
		}
	}
	var wg sync.WaitGroup
	for range min(n, parallel) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}
