// Package fakeserver is a strict fake of the two enrollment servers and the
// relay that Muster talks to: site enrollment (POST /api/enroll), manager
// enrollment (/api/v1/…) and the relay (GET /ws/agent), for tests and for
// local development.
//
// It is stricter than the real servers: an unknown, missing or duplicate
// member, a wrong type or a value out of its form is answered with 400 and a
// reason, because a fake that forgives hides bugs. It keeps API keys and
// enrollment keys as SHA-256 hashes, and what it shows of itself (State,
// Requests) holds no secret.
//
// In a test:
//
//	s := &fakeserver.Server{CertLifetime: time.Minute}
//	site, err := s.AddSite("ACME-HQ", "")
//	err = s.Start(t.Context(), "127.0.0.1:0")
//	defer s.Close()
//	// s.URL(), s.CACertPEM() and site.EnrollmentKey configure an agent.
//
// A Server is also an http.Handler, for httptest; renewal over mTLS and the
// count of connections then need Start.
//
// The same controls are there as methods and, for other processes, as HTTP
// endpoints below /_fake/, which faults do not touch and Requests does not
// list:
//
//	GET    /_fake/state                              State
//	GET    /_fake/requests                           Requests
//	POST   /_fake/sites/{code}/rotate                RotateSite
//	POST   /_fake/machines/{machine_uid}/confirm     Confirm
//	POST   /_fake/machines/{machine_uid}/revoke      Revoke
//	POST   /_fake/machines/{machine_uid}/forget      Forget
//	POST   /_fake/machines/{machine_uid}/assign?site=CODE   Assign
//	POST   /_fake/enrollments/{id}/approve           Approve
//	POST   /_fake/enrollments/{id}/deny              Deny
//	POST   /_fake/enrollments/{id}/revoke            RevokeCertificates
//	POST   /_fake/enrollments/{id}/remove            Remove
//	POST   /_fake/faults                             AddFault
//	PUT    /_fake/faults                             SetFaults, of a list
//	DELETE /_fake/faults                             ClearFaults
//	POST   /_fake/relay/{machine_uid}/send           RelaySend
//	POST   /_fake/relay/{machine_uid}/close          RelayClose
package fakeserver
