package main

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

const canPin = true

// pin starts a process from a thread that may run on p only: a child has what
// its parent's thread has.
func (p processors) pin(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("processors: %w", err)
	}
	for _, n := range p {
		only.Set(n)
	}
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("processors: %w", err)
	}
	return errors.Join(start(), unix.SchedSetaffinity(0, &before))
}
