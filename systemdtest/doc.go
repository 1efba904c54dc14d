// Package systemdtest shows the service on a real systemd: each test of build
// tag systemd boots a machine of its own (boot_test.go) and is run there as a
// unit. It needs root: ./dev test-systemd.
package systemdtest
