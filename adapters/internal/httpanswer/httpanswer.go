// Package httpanswer reads the parts of an HTTP answer that every server's
// adapter needs. It follows nothing and decides nothing.
package httpanswer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// firstRoom is the most that is set aside for a body on the strength of its
// Content-Length alone, in bytes: twenty times a usual bundle.
const firstRoom = 128 << 10

// ErrTooLarge: a body is longer than its limit.
var ErrTooLarge = errors.New("more came than is read of it")

// Body reads all of a body, or fails with ErrTooLarge for one over limit bytes.
// The text needs no copy to become a Secret.
func Body(resp *http.Response, limit int64) (string, error) {
	if resp.ContentLength > limit {
		return "", ErrTooLarge
	}
	var body strings.Builder
	body.Grow(int(min(max(resp.ContentLength, 0), firstRoom)))
	n, err := io.Copy(&body, io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return "", err
	case n > limit:
		return "", ErrTooLarge
	}
	return body.String(), nil
}

// BodyError is why Body failed, as a sentence part. describe puts an error of
// the transport into words.
func BodyError(err error, describe func(error) string) string {
	if errors.Is(err, ErrTooLarge) {
		return err.Error()
	}
	return "not everything came: " + describe(err)
}

// Redirect names the host that a redirect leads to, as a sentence part.
func Redirect(resp *http.Response) string {
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || to.Host == "" {
		return "a redirect, which is not followed"
	}
	return "a redirect to " + to.Scheme + "://" + to.Host + ", which is not followed"
}

// ServerTime is the Date header; zero if there is none.
func ServerTime(resp *http.Response) time.Time {
	t, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// RetryAfter is the Retry-After header of a status for which it has a meaning
// (202, 429, 503), as it was sent; else empty.
func RetryAfter(resp *http.Response) string {
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return resp.Header.Get("Retry-After")
	}
	return ""
}

// Answered is a status as a sentence part: "it answered 503 Service
// Unavailable".
func Answered(status int) string {
	return strings.TrimSpace(fmt.Sprintf("it answered %d %s", status, http.StatusText(status)))
}
