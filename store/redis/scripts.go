package redis

import (
	"context"
	"crypto/sha1" // the name of a script on a server
	_ "embed"     // the scripts
	"encoding/hex"

	"github.com/valkey-io/valkey-go"
)

var (
	//go:embed update.lua
	updateText string
	//go:embed look.lua
	lookText string
	//go:embed read.lua
	readText string
	//go:embed replace.lua
	replaceText string
	//go:embed discard.lua
	discardText string

	updateScript  = scriptOf(updateText)
	lookScript    = scriptOf(lookText)
	readScript    = scriptOf(readText)
	replaceScript = scriptOf(replaceText)
	discardScript = scriptOf(discardText)
)

// script is a script in the form of the server.
type script struct{ text, sha1 string }

func scriptOf(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text, hex.EncodeToString(sum[:])}
}

// call is one call of a script.
type call struct{ keys, args []string }

// known is a call of a script by its SHA-1, for a server with the script. whole is a call with the
// text of the script.
func (s script) known(c valkey.Client, x call) valkey.Completed {
	return c.B().Evalsha().Sha1(s.sha1).Numkeys(int64(len(x.keys))).Key(x.keys...).Arg(x.args...).Build()
}

func (s script) whole(c valkey.Client, x call) valkey.Completed {
	return c.B().Eval().Script(s.text).Numkeys(int64(len(x.keys))).Key(x.keys...).Arg(x.args...).Build()
}

// unknown reports whether the server did not know a script.
func unknown(r valkey.ValkeyResult) bool {
	err, ok := valkey.IsValkeyErr(r.Error())
	return ok && err.IsNoScript()
}

// run calls a script in one pipeline. A server without the script, at first and after a restart or
// SCRIPT FLUSH, refuses the calls; run sends the refused calls again with the text.
func (s script) run(ctx context.Context, c valkey.Client, calls []call) []valkey.ValkeyResult {
	commands := make(valkey.Commands, len(calls))
	for i, x := range calls {
		commands[i] = s.known(c, x)
	}
	results := c.DoMulti(ctx, commands...)
	var again valkey.Commands
	var refused []int
	for i, r := range results {
		if unknown(r) {
			again = append(again, s.whole(c, calls[i]))
			refused = append(refused, i)
		}
	}
	for i, r := range c.DoMulti(ctx, again...) {
		results[refused[i]] = r
	}
	return results
}
