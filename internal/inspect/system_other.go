//go:build !linux && !darwin && !freebsd

package inspect

import "io/fs"

// freeSpace does not know here.
func freeSpace(string) (bytes, inodes uint64, known bool) { return 0, 0, false }

// ownerText does not know here.
func ownerText(fs.FileInfo) string { return "unknown" }
