//go:build !dev

package transport

import "crypto/tls"

const insecureAllowed = false

func skipVerification(*tls.Config) {}
