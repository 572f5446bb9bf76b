// Command bench measures the gateway's figures, each as a ratio to a yardstick
// in the same run, because machines differ and are noisy.
//
//	go run ./bench                        # everything but what takes minutes
//	go run ./bench -run overload,start    # parts by name, the long ones too
//	go run ./bench -gateway bin/old -run ingest
//
// It starts the gateway as a process of its own, as a user would.
package main
