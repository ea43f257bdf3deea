package directory

import "github.com/mpmetrics/mpmetrics/internal/boot"

// OfEarlierBoot reports whether a file in a directory, with the id of a boot, was written before the
// machine was last started.
func OfEarlierBoot(dir, id string) bool { return !InMemory(dir) && boot.Differ(id, boot.ID()) }
