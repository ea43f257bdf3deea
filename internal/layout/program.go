package layout

import "path/filepath"

// ProgramOf returns the name of a program for a header, from its arguments: a program may be started
// without any argument, and a library of a C program may not see them.
func ProgramOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return filepath.Base(args[0])
}
