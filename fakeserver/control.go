package fakeserver

import (
	"errors"
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"
)

// maxControlBody is how large a fault or a frame may be: 16 MiB, the most
// that an agent reads of any answer.
const maxControlBody = 16 << 20

// controlRoutes are the endpoints below /_fake. A success without a result is
// answered with 204, something that is not there with 404, something in the
// wrong state with 409.
func (s *Server) controlRoutes(r chi.Router) {
	r.Get("/state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.State()) })
	r.Get("/requests", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Requests()) })
	r.Post("/sites/{code}/rotate", s.serveRotate)
	r.Post("/faults", s.serveFaults(func(body []byte) error {
		f, err := parseFault(body)
		if err != nil {
			return err
		}
		return s.AddFault(f)
	}))
	r.Put("/faults", s.serveFaults(func(body []byte) error {
		faults, err := parseFaults(body)
		if err != nil {
			return err
		}
		return s.SetFaults(faults)
	}))
	r.Delete("/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	for path, do := range map[string]action{
		"/machines/{uid}/confirm":   func(s *Server, r *http.Request) error { return s.Confirm(chi.URLParam(r, "uid")) },
		"/machines/{uid}/revoke":    func(s *Server, r *http.Request) error { return s.Revoke(chi.URLParam(r, "uid")) },
		"/machines/{uid}/forget":    func(s *Server, r *http.Request) error { return s.Forget(chi.URLParam(r, "uid")) },
		"/machines/{uid}/assign":    func(s *Server, r *http.Request) error { return s.Assign(chi.URLParam(r, "uid"), r.FormValue("site")) },
		"/enrollments/{id}/approve": approve,
		"/enrollments/{id}/deny":    deny,
		"/enrollments/{id}/revoke":  func(s *Server, r *http.Request) error { return s.RevokeCertificates(chi.URLParam(r, "id")) },
		"/enrollments/{id}/remove":  func(s *Server, r *http.Request) error { return s.Remove(chi.URLParam(r, "id")) },
		"/relay/{uid}/send":         relaySend,
		"/relay/{uid}/close":        func(s *Server, r *http.Request) error { return s.RelayClose(chi.URLParam(r, "uid")) },
	} {
		r.Post(path, s.control(do))
	}
}

// action does what a control request asks for.
type action func(s *Server, r *http.Request) error

func approve(s *Server, r *http.Request) error { return s.Approve(chi.URLParam(r, "id")) }
func deny(s *Server, r *http.Request) error    { return s.Deny(chi.URLParam(r, "id")) }

func relaySend(s *Server, r *http.Request) error {
	frame, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return s.RelaySend(r.Context(), chi.URLParam(r, "uid"), frame)
}

func (s *Server) control(do action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxControlBody)
		if err := do(s, r); err != nil {
			writeRefusal(w, controlRefusal(err))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func controlRefusal(err error) *refusal {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, ErrNotFound):
		return &refusal{status: http.StatusNotFound, reason: err.Error()}
	case errors.As(err, &tooLarge):
		return &refusal{status: http.StatusRequestEntityTooLarge, reason: "the body has more than 16 MiB"}
	default:
		return &refusal{status: http.StatusConflict, reason: err.Error()}
	}
}

func (s *Server) serveRotate(w http.ResponseWriter, r *http.Request) {
	key, err := s.RotateSite(chi.URLParam(r, "code"))
	if err != nil {
		writeRefusal(w, controlRefusal(err))
		return
	}
	writeJSON(w, http.StatusOK, key)
}

func (s *Server) serveFaults(do func(body []byte) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBody))
		if err != nil {
			writeRefusal(w, controlRefusal(err))
			return
		}
		if err := do(body); err != nil {
			writeRefusal(w, badRequest(err.Error()))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}
