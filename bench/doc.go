// Bench measures mpmetrics side by side with client_golang and prints a table of both, their
// ratio, and the target.
//
//	make bench             # in the folder above: eight minutes; writes bench/RESULTS.md and the plots
//	make bench SHORT=1     # two minutes; prints only
//	go test -bench=NewSeries .
//
// The benchmarks are ordinary benchmarks, in the tests of this package. The program adds the
// order: each round runs all benchmarks once, both libraries of a pair next to each other, until
// the rounds suffice. A busy machine slows both benchmarks of a pair, so the ratio within a round
// is worth more than times of different minutes. The raw lines stay for benchstat:
//
//	go tool benchstat -col /lib ../.cache/bench.txt
package main
