package fakeserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// object reads a JSON object more strictly than encoding/json does: no unknown,
// missing or duplicate members, no null for a value, names in their exact case.
// It keeps the first problem, which end returns once all members were taken.
type object struct {
	where   string // what the members' names are prefixed with in problems
	members map[string]json.RawMessage
	problem *error // shared with the objects inside
}

// parseObject reads data as one JSON object with nothing after it.
func parseObject(data []byte) (*object, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("the body is not UTF-8")
	}
	members, err := readMembers(data)
	if err != nil {
		return nil, fmt.Errorf("the body: %w", err)
	}
	return &object{members: members, problem: new(error)}, nil
}

func readMembers(data []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	members := make(map[string]json.RawMessage)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, errors.New("not valid JSON")
		}
		name := token.(string) // a Decoder allows nothing else here
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("member %.40q stands there twice", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("not valid JSON")
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("not valid JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return members, nil
}

// fail notes a problem with a member. The value must not be in it: it may be
// a secret.
func (o *object) fail(name, problem string) {
	if *o.problem == nil {
		*o.problem = fmt.Errorf("%s%s %s", o.where, name, problem)
	}
}

func (o *object) has(name string) bool { _, ok := o.members[name]; return ok }

// take removes a member, which must be there and begin with one of first.
func (o *object) take(name, first, kind string) json.RawMessage {
	value, ok := o.members[name]
	delete(o.members, name)
	switch {
	case !ok:
		o.fail(name, "is missing")
	case !bytes.ContainsAny(value[:1], first):
		o.fail(name, "is not "+kind)
	default:
		return value
	}
	return nil
}

// text is a member that must be a string.
func (o *object) text(name string) string {
	var s string
	if value := o.take(name, `"`, "a string"); value != nil {
		if err := json.Unmarshal(value, &s); err != nil {
			o.fail(name, "is not a string")
		}
	}
	return s
}

// texts is a member that must be an array of strings.
func (o *object) texts(name string) []string {
	const kind = "an array of strings"
	value := o.take(name, `[`, kind)
	if value == nil {
		return nil
	}
	var list []*string // nil for null
	if err := json.Unmarshal(value, &list); err != nil || slices.Contains(list, nil) {
		o.fail(name, "is not "+kind)
		return nil
	}
	values := make([]string, len(list))
	for i, s := range list {
		values[i] = *s
	}
	return values
}

// count is a member that must be a whole number, zero or more, written
// without fraction or exponent.
func (o *object) count(name string) int64 {
	const kind = "a whole number of zero or more"
	value := o.take(name, "0123456789", kind)
	if value == nil {
		return 0
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		o.fail(name, "is not "+kind)
	}
	return n
}

// truth is a member that must be true or false.
func (o *object) truth(name string) bool {
	return string(o.take(name, "tf", "true or false")) == "true"
}

// null takes a member if it is null, and reports whether it was.
func (o *object) null(name string) bool {
	if string(o.members[name]) != "null" {
		return false
	}
	delete(o.members, name)
	return true
}

// inner is a member that must be an object. Its own end need not be called.
func (o *object) inner(name string) *object {
	in := &object{where: o.where + name + ".", problem: o.problem}
	if value := o.take(name, `{`, "an object"); value != nil {
		members, err := readMembers(value)
		if err != nil {
			o.fail(name, "is malformed: "+err.Error())
		}
		in.members = members
	}
	return in
}

// require notes a problem unless ok.
func (o *object) require(ok bool, name, problem string) {
	if !ok {
		o.fail(name, problem)
	}
}

// end returns the first problem. A member that nobody took is one.
func (o *object) end() error {
	if left := slices.Sorted(maps.Keys(o.members)); len(left) > 0 {
		o.fail(fmt.Sprintf("%.40q", left[0]), "is not a known member")
	}
	return *o.problem
}
