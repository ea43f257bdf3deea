package redis

import (
	"context"
	"crypto/sha1" // by which a server knows scripts
	_ "embed"     // the scripts
	"encoding/hex"

	"github.com/valkey-io/valkey-go"
)

var (
	//go:embed update.lua
	updateText string
	//go:embed read.lua
	readText string
	//go:embed replace.lua
	replaceText string
	//go:embed discard.lua
	discardText string

	updateScript  = scriptOf(updateText)
	readScript    = scriptOf(readText)
	replaceScript = scriptOf(replaceText)
	discardScript = scriptOf(discardText)
)

// script is a script as the server runs it.
type script struct{ text, sha1 string }

func scriptOf(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text, hex.EncodeToString(sum[:])}
}

// call is one call of a script.
type call struct{ keys, args []string }

// run calls a script in one pipeline. A server that does not know it, at first and
// after a restart or SCRIPT FLUSH, gets it whole with those calls that it refused.
func (s script) run(ctx context.Context, c valkey.Client, calls []call) []valkey.ValkeyResult {
	commands := make(valkey.Commands, len(calls))
	for i, x := range calls {
		commands[i] = c.B().Evalsha().Sha1(s.sha1).Numkeys(int64(len(x.keys))).Key(x.keys...).Arg(x.args...).Build()
	}
	results := c.DoMulti(ctx, commands...)
	var again valkey.Commands
	var refused []int
	for i, r := range results {
		if err, ok := valkey.IsValkeyErr(r.Error()); ok && err.IsNoScript() {
			x := calls[i]
			again = append(again, c.B().Eval().Script(s.text).Numkeys(int64(len(x.keys))).Key(x.keys...).Arg(x.args...).Build())
			refused = append(refused, i)
		}
	}
	for i, r := range c.DoMulti(ctx, again...) {
		results[refused[i]] = r
	}
	return results
}
