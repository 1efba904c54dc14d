//go:build dev

package transport

import "crypto/tls"

const insecureAllowed = true

// skipVerification makes c accept any certificate. Only for development.
func skipVerification(c *tls.Config) {
	c.InsecureSkipVerify = true
	c.VerifyConnection = nil
}
