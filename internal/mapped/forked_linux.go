package mapped

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// UnmapAt gives back the whole mapping that begins at an address. No Region may have the mapping.
func UnmapAt(address uintptr) error {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n < 2 || from != address {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MUNMAP, from, to-from, 0); errno != 0 {
			return fmt.Errorf("unmap %#x-%#x: %w", from, to, errno)
		}
		return nil
	}
	return fmt.Errorf("unmap %#x: no mapping begins there", address)
}
