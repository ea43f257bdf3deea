//go:build darwin || freebsd

package directory

import "os"

// keepBlocks does nothing: the file systems of this system are not known to copy pages of a mapped
// file, or have no attribute against that.
func keepBlocks(*os.File) error { return nil }
