//go:build !unix

package main

// forbidCoreFiles has nothing to do here: this system writes none by itself.
func forbidCoreFiles() {}
