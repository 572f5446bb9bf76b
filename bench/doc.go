// Command bench measures the gateway's figures, each as a ratio to a yardstick
// in the same run, because machines differ and are noisy.
//
//	go run ./bench                        # everything but what takes minutes
//	go run ./bench -run overload,start    # parts by name, the long ones too
//	go run ./bench -gateway bin/old -run ingest
//	go run ./bench -run lake              # writer, SQL and freshness of the lakehouse
//
// It starts the gateway as a process of its own, as a user would.
package main
