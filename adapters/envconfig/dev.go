//go:build dev

package envconfig

// devBuild says that MUSTER_DEV_INSECURE_TLS and MUSTER_DEV_INSECURE_HTTP are
// read.
const devBuild = true
