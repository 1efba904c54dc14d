// Package contracttest holds the suites that every adapter of a port passes:
// a function for each port, which states each guarantee of the port's doc
// comment as a subtest of that name. The table of ports says which adapter
// runs which.
//
// A suite is handed what it needs by fresh, and calls it once for each test.
// Of a store, each fresh is an empty place, and each open the start of a
// process over it, the former one being gone: what is read after another open
// has survived a restart.
package contracttest

import "testing"

// names tells tools/gotest which suite t runs.
func names(t *testing.T, suite string) { t.Attr("contract-suite", suite) }
