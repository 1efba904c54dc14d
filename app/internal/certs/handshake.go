package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// handshake proves a key pair by a TLS 1.3 handshake in memory, the server's
// side verified against roots at an instant within its dates.
func handshake(pair tls.Certificate, roots *x509.CertPool, at time.Time) error {
	clientEnd, serverEnd := net.Pipe()
	server := tls.Server(serverEnd, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}})
	client := tls.Client(clientEnd, &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The name does not matter here, and the standard verification asks
		// for one: VerifyConnection does all the rest.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			intermediates := x509.NewCertPool()
			for _, c := range state.PeerCertificates[1:] {
				intermediates.AddCert(c)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots: roots, Intermediates: intermediates, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			return err
		},
	})
	served := make(chan error, 1)
	go func() { served <- server.Handshake() }()
	err := client.Handshake()
	err = errors.Join(err, clientEnd.Close())
	err = errors.Join(err, <-served, serverEnd.Close())
	if err != nil {
		return fmt.Errorf("a TLS handshake with it fails: %w", err)
	}
	return nil
}
