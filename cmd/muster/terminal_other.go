//go:build !linux && !windows

package main

func terminal(uintptr) bool { return false }
