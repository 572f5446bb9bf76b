//go:build unix

package cli

import "golang.org/x/sys/unix"

// diskSpace gives the bytes that are free for this user, and all, of the disk
// that holds path.
func diskSpace(path string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, 0, err
	}
	size := uint64(s.Bsize) //nolint:gosec // a block's size is positive
	return s.Bavail * size, s.Blocks * size, nil
}
