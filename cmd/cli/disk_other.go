//go:build !unix

package cli

import "errors"

func diskSpace(string) (free, total uint64, err error) {
	return 0, 0, errors.New("free space cannot be read on this system")
}
