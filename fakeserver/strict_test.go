package fakeserver_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/matryer/is"

	"github.com/muster-agent/muster/fakeserver"
)

// place is where a member stands in a message: its names, from the outside in.
type place []string

// places lists the members of a message and of the objects in it.
func places(message any, in place) (all []place) {
	object, _ := message.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := append(slices.Clone(in), name)
		all = append(append(all, at), places(object[name], at)...)
	}
	return all
}

// edit changes the object of a message that a member stands in.
func edit(t *testing.T, message string, at place, change func(object map[string]any, name string)) string {
	t.Helper()
	whole := parse(t, message)
	object := whole
	for _, name := range at[:len(at)-1] {
		object = object[name].(map[string]any)
	}
	change(object, at[len(at)-1])
	return asJSON(whole)
}

func parse(t *testing.T, message string) (object map[string]any) {
	t.Helper()
	is.New(t).NoErr(json.Unmarshal([]byte(message), &object))
	return object
}

// values are one of each type of JSON. A number in quotes is among them, because
// that is the mistake that is made.
var values = map[string]any{
	"null": nil, "boolean": true, "number": 7.0, "string": "7", "array": []any{7.0}, "object": map[string]any{"a": "b"},
}

// sameType says whether two values are of the same type of JSON.
func sameType(a, b any) bool {
	switch a.(type) {
	case string:
		_, ok := b.(string)
		return ok
	case float64:
		_, ok := b.(float64)
		return ok
	default:
		return false // whether an array or an object, what is in it is wrong
	}
}

// mistakes makes every message that differs from a right one in one place:
// each must be refused. optional members may be missing.
func mistakes(t *testing.T, message string, optional ...string) map[string]string {
	t.Helper()
	wrong := map[string]string{
		"trailing object": message + "{}",
		"trailing null":   message + "null",
		"cut short":       strings.TrimSpace(message)[:len(strings.TrimSpace(message))-1],
		"empty":           " ",
		"in an array":     "[" + message + "]",
		"not UTF-8":       strings.Replace(message, `": "`, "\": \"\xff", 1),
		"unknown member/": edit(t, message, place{"unknown"}, func(o map[string]any, name string) { o[name] = "" }),
	}
	for _, at := range places(parse(t, message), nil) {
		name := at[len(at)-1]
		path := strings.Join(at, ".")
		if !slices.Contains(optional, path) {
			wrong["missing member/"+path] = edit(t, message, at, func(o map[string]any, name string) { delete(o, name) })
		}
		wrong["member in capitals/"+path] = edit(t, message, at, func(o map[string]any, name string) {
			o[strings.ToUpper(name)] = o[name]
			delete(o, name)
		})
		wrong["member twice/"+path] = strings.Replace(message, `"`+name+`":`, `"`+name+`":"first","`+name+`":`, 1)
		for kind, value := range values {
			differs := true
			text := edit(t, message, at, func(o map[string]any, name string) {
				differs = !sameType(o[name], value)
				o[name] = value
			})
			if differs {
				wrong["wrong type/"+path+"/"+kind] = text
			}
		}
		edit(t, message, at, func(o map[string]any, name string) {
			if _, ok := o[name].(map[string]any); ok {
				wrong["unknown member/"+path] = edit(t, message, append(at, "unknown"), func(o map[string]any, name string) { o[name] = "" })
			}
		})
	}
	return wrong
}

// Every endpoint that takes a JSON object refuses whatever differs from it.
func TestStrictBodies(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{})
	h, _ := host(t, start(t, &fakeserver.Server{}))
	for _, e := range []struct {
		name, path, body string
		client           *client
		status           int // of the right message
		optional         []string
	}{
		{"enroll", "/api/enroll", golden(t, "requests", "enroll"), c, 201, nil},
		{"register", "/api/v1/enroll", golden(t, "requests", "register-csr"), c, 202, []string{"csr_pem"}},
		{"renew", "/api/v1/enroll/renew", golden(t, "requests", "renew"), h, 200, nil},
	} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			refused := func(name string, want int, path, body string, headers ...string) {
				t.Run(name, func(t *testing.T) {
					answers(t, e.client.do("POST", path, body, headers...), want, "refused")
				})
			}
			for name, body := range mistakes(t, e.body, e.optional...) {
				refused(name, 400, e.path, body)
			}
			refused("query", 400, e.path+"?x=1", e.body)
			refused("body over its limit", 413, e.path, e.body+strings.Repeat(" ", 64<<10))
			for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/json; charset=latin1"} {
				refused("content type/"+contentType, 415, e.path, e.body, "Content-Type", contentType)
			}
			wrongMethods(t, e.client, e.path, e.body, "POST")
			is.New(t).Equal(e.client.do("POST", e.path, e.body).status, e.status) // nothing was wrong with it, and nothing was done before
		})
	}
}

func wrongMethods(t *testing.T, c *client, path, body, right string) {
	t.Helper()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		if method == right {
			continue
		}
		t.Run("method/"+method, func(t *testing.T) {
			is := is.New(t)
			r := c.do(method, path, body)
			is.Equal(r.status, 405)
			is.Equal(r.header.Get("Allow"), right)
		})
	}
}

// Every endpoint that takes no body refuses one.
func TestStrictQuestions(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{Approval: fakeserver.Approval{Manual: true}})
	token := c.register(nil).member("polling_token")
	key := c.enroll(nil).member("key")
	for name, path := range map[string]string{
		"poll":  "/api/v1/enroll/status/" + token,
		"crl":   "/api/v1/pki/crl.pem",
		"list":  "/api/v1/admin/enrollments",
		"relay": "/ws/agent?" + relayQuery(key, nil).Encode(),
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			join := "?"
			if strings.Contains(path, "?") {
				join = "&"
			}
			is.Equal(c.do("GET", path, "{}").status, 400)          // a body
			is.Equal(c.do("GET", path+join+"x=1", "").status, 400) // an unknown parameter
			wrongMethods(t, c, path, "", "GET")
		})
	}
	is.New(t).Equal(c.s.State().Enrollments[0].Polls, 0) // nothing was done
}

func TestStrictHeaders(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{})
	for _, key := range []string{"", "1", idempotencyKey + "0", "{" + idempotencyKey + "}"} {
		t.Run("idempotency key "+key, func(t *testing.T) {
			is.New(t).Equal(c.register(nil, "Idempotency-Key", key).status, 400)
		})
	}
}

// The relay closes a connection over whatever differs from an agent_status
// frame.
func TestStrictFrames(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{})
	query := relayQuery(c.enroll(nil).member("key"), nil)
	for name, text := range mistakes(t, golden(t, "requests", "agent_status")) {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			conn, _, err := c.dial(query, http.Header{})
			is.NoErr(err)
			write(t, conn, text)
			is.Equal(closeCode(t, conn), websocket.StatusPolicyViolation)
		})
	}
	is.New(t).Equal(len(c.s.State().Machines), 1)
}
