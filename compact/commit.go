package compact

import (
	"fmt"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// steps are the steps of a commit to a directory: one method for each step that a crash can come
// before or after. files is the shipped implementation. The tests have implementations that crash,
// fail, or let other processes go on before each step.
type steps interface {
	// write writes an archive under a temporary name. sync makes the archive durable.
	write(a *archive.Archive) (temporary string, err error)
	sync(temporary string) error
	// keep gives the archive in place a second name in quarantine.
	keep(reason string) error
	// check returns ErrChanged unless the locks, the directory and the archive in place are the
	// same as at the reading.
	check() error
	// publish renames the written archive to the archive's name. syncRename makes the rename
	// durable.
	publish(temporary string) error
	syncRename() error
	// remove unlinks a file.
	remove(name string) error
}

// commitSteps commits a change to a directory:
//
//  1. Write the next archive under a temporary name.
//  2. Sync the next archive.
//  3. Check that the absorption still has its locks, its directory and its archive.
//  4. If the archive in place has to be kept: link the archive into quarantine.
//  5. Rename the next archive over the archive in place. The first archive gets its name by a
//     link instead, because a link replaces no archive.
//  6. Sync the directory. Otherwise a power cut could bring the old archive back, without the
//     files.
//  7. Unlink the absorbed files.
//
// The rename decides: a crash before the rename changes nothing, and a crash after the rename
// leaves files whose processes the archive holds. The next absorption repeats 6 and 7 for such
// files, because a crash may have come before either.
//
// Nothing that the check has found can change before the rename: the lock of the archive keeps
// every other absorption away, and 4, 5 and 7 name their files in the directory that is open, not
// by the path of the directory.
func commitSteps(s steps, c change) (done committed, err error) {
	if c.next != nil {
		temporary, err := s.write(c.next) // 1
		if err != nil {
			return done, err
		}
		if err := s.sync(temporary); err != nil { // 2
			return done, err
		}
		if err := s.check(); err != nil { // 3
			return done, err
		}
		if c.aside != "" {
			if err := s.keep(c.aside); err != nil { // 4
				return done, fmt.Errorf("put archive aside: %w", err)
			}
		}
		if err := s.publish(temporary); err != nil { // 5
			return done, err
		}
		done.published = true
	} else if err := s.check(); err != nil {
		return done, err
	}
	if err := s.syncRename(); err != nil { // 6
		return done, err
	}
	for _, name := range c.absorbed {
		if err := s.remove(name); err != nil && !scan.Vanished(err) { // 7
			done.left = append(done.left, LeftFile{Name: name, Reason: string(scan.ReasonOf(err)), Err: err})
		}
	}
	return done, nil
}
