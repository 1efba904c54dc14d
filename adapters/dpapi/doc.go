// Package dpapi protects secrets by the Windows data protection interface.
//
// The key is the machine's (CRYPTPROTECT_LOCAL_MACHINE): every account of this
// machine may unprotect, so that the files' access control lists still decide
// who reads; a stolen disk or a copied file alone tells nothing. The service
// and an administrator's command read each other's files.
package dpapi
