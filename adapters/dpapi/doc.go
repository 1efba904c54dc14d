// Package dpapi protects secrets by the Windows data protection interface.
//
// The key belongs to the machine (CRYPTPROTECT_LOCAL_MACHINE), so that the service
// and an administrator's command read each other's files. Every account of this
// machine may unprotect: the files' access control lists decide who reads them. A
// stolen disk or a copied file alone tells nothing.
package dpapi
