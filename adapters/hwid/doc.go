// Package hwid reads the signals that tell this machine from others: the
// firmware's tables, the serial of the disk that holds the root, machine-id,
// and whether this is a virtual machine or a container.
package hwid
