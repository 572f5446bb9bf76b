//go:build !linux

package main

const canPin = false

// pin is never called here.
func (p processors) pin(start func() error) error { return start() }
