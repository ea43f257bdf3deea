// Package loadtest holds the prefork example to its promise: it starts the program, sends it requests, kills
// workers in the middle of them, scrapes all the while, and compares what was counted with what was answered.
//
// The load generator is the witness: it knows how many requests were answered, and how many broke off because the
// worker that had them was killed. A worker counts a request before its answer leaves, so of the broken ones any
// number may have been counted, and nothing else may differ:
//
//	answered <= counted <= answered + broken
//
// Then short-lived jobs come and go, some of them killed, and a Ledger is the witness: it knows what each was given
// to count, fractions among it, so every total must be exact to the last bit; and once they are absorbed, their files
// must be gone.
package loadtest
