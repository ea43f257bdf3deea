// Package loadtest holds the prefork example to its promise: a trial starts the program, sends
// requests, kills workers under load, scrapes all the while, and compares the counts with the
// answers.
//
// The load generator is the witness. The generator knows the number of answered requests, and the
// number of requests broken by the death of their worker. A worker counts a request before the
// answer leaves, so any number of the broken requests may be counted, and no other difference is
// allowed:
//
//	answered <= counted <= answered + broken
//
// Then short-lived jobs come and go, some of them killed, with a Ledger as the witness. The Ledger
// knows the orders of each job, fractions among them, so every total must be exact to the last
// bit. After the absorption, the files of the jobs must be gone.
package loadtest
