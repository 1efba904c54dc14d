package httpanswer

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/matryer/is"
)

func answer(status int, length int64, body io.Reader, header map[string]string) *http.Response {
	resp := &http.Response{StatusCode: status, ContentLength: length, Body: io.NopCloser(body), Header: http.Header{}}
	for name, value := range header {
		resp.Header.Set(name, value)
	}
	return resp
}

func TestBody(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for _, length := range []int64{5, -1} {
		body, err := Body(answer(200, length, strings.NewReader("12345"), nil), 5)
		is.NoErr(err)
		is.Equal(body, "12345")
		_, err = Body(answer(200, length+1, strings.NewReader("123456"), nil), 5)
		is.True(errors.Is(err, ErrTooLarge)) // by its length, or once it has come
	}
	_, err := Body(answer(200, 1<<62, iotest.ErrReader(errors.New("not read")), nil), 5)
	is.True(errors.Is(err, ErrTooLarge)) // before anything is read
	_, err = Body(answer(200, -1, io.MultiReader(strings.NewReader("123456"), iotest.ErrReader(errors.New("read on"))), nil), 5)
	is.True(errors.Is(err, ErrTooLarge)) // one without an end is not read on
	cut := errors.New("cut")
	_, err = Body(answer(200, -1, io.MultiReader(strings.NewReader("12"), iotest.ErrReader(cut)), nil), 5)
	is.True(errors.Is(err, cut)) // a part is no answer
	is.Equal(BodyError(err, error.Error), "not everything came: cut")
	is.Equal(BodyError(ErrTooLarge, error.Error), "more came than is read of it")
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	header := map[string]string{"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After": "17"}
	for status, want := range map[int]string{200: "", 202: "17", 302: "", 404: "", 429: "17", 500: "", 503: "17"} {
		resp := answer(status, 0, strings.NewReader(""), header)
		is.Equal(RetryAfter(resp), want)
		is.True(ServerTime(resp).Equal(time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC))) // whatever the status
	}
	is.True(ServerTime(answer(200, 0, nil, map[string]string{"Date": "yesterday"})).IsZero()) // no date
	is.Equal(Answered(503), "it answered 503 Service Unavailable")
	is.Equal(Answered(599), "it answered 599")
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"":                                "a redirect, which is not followed",
		"/elsewhere":                      "a redirect, which is not followed",
		"https://b.example/path?key=cek_": "a redirect to https://b.example, which is not followed",
		"://":                             "a redirect, which is not followed",
	} {
		is.New(t).Equal(Redirect(answer(302, 0, nil, map[string]string{"Location": location})), want)
	}
}
