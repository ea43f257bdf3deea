//go:build linux || darwin || freebsd

package directory

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

func supported(string) error { return nil }

const (
	permBits  = 0o777
	groupBits = 0o070
	otherBits = 0o007
)

// check looks at the open descriptor, not at the path: no other process can swap the checked
// directory.
func check(sub string, a Access) error {
	fd, err := retry(func() (int, error) {
		return unix.Open(sub, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return refuse(sub, "it is a symbolic link or no directory; remove it")
	case errors.Is(err, unix.EACCES):
		var st unix.Stat_t
		if unix.Lstat(sub, &st) == nil {
			if err := checkUser(sub, &st, a); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: sub, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: sub, Err: err}
	}
	if err := checkUser(sub, &st, a); err != nil {
		return err
	}
	if err := checkMode(sub, &st, a); err != nil {
		return err
	}
	if a.AllowNetworkFS {
		return nil
	}
	name, err := networkOf(fd)
	if err != nil {
		return &fs.PathError{Op: "stat file system", Path: sub, Err: err}
	}
	if name != "" {
		return refuse(sub, "it is on a %s file system, where a lock may not show whether a process lives, and other processes may see other mapped pages; use a local file system, best tmpfs, or set AllowNetworkFS or %s=1 if the file system is safe", name, EnvAllowNetworkFS)
	}
	return nil
}

// checkUser checks that this process may trust the owner of a subdirectory.
func checkUser(sub string, st *unix.Stat_t, a Access) error {
	uid := os.Geteuid()
	switch {
	case int(st.Uid) == uid:
		return nil
	case uid == 0:
		// Root helps the owner of the directory, because root can trust the owner as far as the
		// owner's own processes can. In a parent where every user may make a directory, the name of
		// the directory says nothing about its rightful owner.
		parent := filepath.Dir(sub)
		var p unix.Stat_t
		if err := unix.Stat(parent, &p); err != nil {
			return &fs.PathError{Op: "stat", Path: parent, Err: err}
		}
		if p.Mode&unix.S_ISVTX != 0 && p.Mode&0o002 != 0 {
			return refuse(sub, "it belongs to uid %d, and every user may make directories in %s; use another directory", st.Uid, parent)
		}
		return nil
	case a.GroupShared && member(int(st.Gid)):
		return nil
	case a.GroupShared:
		return refuse(sub, "it belongs to uid %d and gid %d, and this process runs as %d without that group; give it the group", st.Uid, st.Gid, uid)
	}
	return refuse(sub, "it belongs to uid %d and this process runs as %d; use another directory, run all processes as one user, or set GroupShared or %s=1 in all of them", st.Uid, uid, EnvGroupShared)
}

func member(gid int) bool {
	groups, err := os.Getgroups()
	return os.Getegid() == gid || err == nil && slices.Contains(groups, gid)
}

// checkMode checks that only the right users have access to a subdirectory.
func checkMode(sub string, st *unix.Stat_t, a Access) error {
	mode := st.Mode & (permBits | unix.S_ISGID)
	switch {
	case mode&otherBits != 0:
		return refuse(sub, "mode %#o gives access to other users; chmod 0700 it, or remove it and let mpmetrics make it", mode)
	case a.GroupShared && (mode&permBits != 0o770 || mode&unix.S_ISGID == 0):
		return refuse(sub, "mode %#o does not share it with its group, want 02770; stop all processes and remove it, so that mpmetrics makes it", mode)
	case !a.GroupShared && mode&groupBits != 0:
		return refuse(sub, "mode %#o gives access to its group; chmod 0700 it, or set GroupShared or %s=1 in all processes to share it", mode, EnvGroupShared)
	}
	return nil
}

// checkOwner checks that the owner of a file is this process's user, or, for root, the owner of
// the directory; in a shared directory the group of the file decides.
func checkOwner(path string, st *unix.Stat_t) error {
	uid := os.Geteuid()
	if int(st.Uid) == uid {
		return nil
	}
	var dir unix.Stat_t
	if err := unix.Stat(filepath.Dir(path), &dir); err != nil {
		return &fs.PathError{Op: "stat", Path: filepath.Dir(path), Err: err}
	}
	if uid == 0 && st.Uid == dir.Uid {
		return nil
	}
	if shared(&dir) && st.Gid == dir.Gid {
		return nil
	}
	return refuse(path, "it belongs to uid %d and this process runs as %d; remove it", st.Uid, uid)
}

func shared(dir *unix.Stat_t) bool {
	return dir.Mode&unix.S_ISGID != 0 && dir.Mode&permBits == 0o770
}
