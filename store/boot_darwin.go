package store

import "golang.org/x/sys/unix"

// bootID names this boot of the machine: after another one, what the last
// seconds wrote to a disk may be missing from a file.
func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
