package main

import "runtime"

// processors are those that a process may run on; nil is all.
type processors []int

// halves divides the machine between the gateway and its clients, so that each
// has the same however busy the other is.
func halves() (gateway, clients processors) {
	n := runtime.NumCPU()
	if !canPin || n < 2 {
		return nil, nil
	}
	for i := range n {
		if i < n/2 {
			gateway = append(gateway, i)
		} else {
			clients = append(clients, i)
		}
	}
	return gateway, clients
}

// run starts a process on the processors.
func (p processors) run(start func() error) error {
	if p == nil {
		return start()
	}
	return p.pin(start)
}
