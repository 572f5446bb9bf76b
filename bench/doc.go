// Command bench measures the gateway's figures, each as a ratio to a yardstick
// in the same run, because machines differ and are noisy.
//
//	go run ./bench            # everything
//	go run ./bench ingest     # one part
//
// It starts the gateway as a process of its own, as a user would.
package main
