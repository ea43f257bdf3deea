#!/usr/bin/env bash
# bbolt 1.5.0: the command `bbolt check`, on a file that a process has open for writing, neither answers nor fails: it
# waits for the lock, without a word and without a limit, and answers when the writer closes the file. An operator
# who checks the file of a live service sees a command that hangs.
#
# Seen:
#   while the writer has the file open: no output after 3 s
#   after the writer closed the file: OK
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export GOBIN=$work
go install go.etcd.io/bbolt/cmd/bbolt@v1.5.0
cat >go.mod <<'EOF'
module finding
go 1.26.0
require go.etcd.io/bbolt v1.5.0
EOF
cat >main.go <<'EOF'
package main

import (
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// The writer closes the file when its input ends.
func main() {
	db, err := bbolt.Open("file.db", 0o600, nil)
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("open\n")
	io.Copy(io.Discard, os.Stdin)
	if err := db.Close(); err != nil {
		panic(err)
	}
}
EOF
go mod tidy >/dev/null 2>&1
go build -o writer .
coproc WRITER { ./writer; }
pid=$WRITER_PID
read -r _ <&"${WRITER[0]}"
./bbolt check file.db >out 2>&1 &
check=$!
sleep 3
kill -0 "$check"
[ ! -s out ]
seen="while the writer has the file open: no output after 3 s"
exec {WRITER[1]}>&-
wait "$pid" "$check"
seen="$seen
after the writer closed the file: $(cat out)"
echo "$seen"
[ "$seen" = "while the writer has the file open: no output after 3 s
after the writer closed the file: OK" ]
