package envconfig

import (
	"strings"
	"unicode/utf8"
)

// assignment is NAME=value in a configuration file.
type assignment struct {
	name, value string
	line, last  int // where it begins and ends, from 1
}

// fault says what is wrong with a line. Its text repeats nothing of the line,
// which may hold a secret.
type fault struct {
	line int
	text string
}

const byteOrderMark = "\ufeff"

// parseEnvironmentFile reads the format of systemd's EnvironmentFile=
// (systemd.exec(5)):
//
//   - An empty line and one that begins with # or ; are ignored. A comment is
//     never continued (systemd 254 and later) and never follows a value.
//   - White space around a name and around a value is dropped.
//   - An unquoted value goes to the end of the line. A backslash keeps the
//     character after it and is dropped itself; before the end of a line it
//     drops that too. So a path with backslashes has to be quoted.
//   - A value in single quotes is taken as it is, over several lines if need be.
//   - In double quotes a backslash is dropped before ", \, ` and $ and, together
//     with the line end, before one; elsewhere it stays.
//   - Quoted parts that follow one another are joined; after an unquoted
//     character quotes are characters like any other.
//   - Nothing is expanded. The last of several assignments to a name counts.
//
// Unlike systemd, which skips them, it reports lines without "=", invalid
// names, "export", quotes that are not closed, and text that is not UTF-8. It
// takes files as Windows writes them: a byte order mark at the start, CR LF as
// the line end.
func parseEnvironmentFile(text string) (assignments []assignment, faults []fault) {
	text = strings.TrimPrefix(text, byteOrderMark)
	if at := strings.IndexByte(text, 0); at >= 0 {
		line := 1 + strings.Count(text[:at], "\n")
		return nil, []fault{{line, "there is a NUL character, so this is no text in UTF-8; save the file as UTF-8"}}
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	line := 0
	for content := range strings.SplitSeq(text, "\n") {
		line++
		if !utf8.ValidString(content) || strings.Contains(content, byteOrderMark) {
			faults = append(faults, fault{line, "the text is not valid UTF-8 without byte order marks; save the file as UTF-8"})
		}
	}

	s := scanner{rest: text, line: 1}
	for s.skipToName() {
		line := s.line
		name, ok := s.name()
		if !ok {
			faults = append(faults, fault{line, `there is no "="; write NAME=value, or begin a comment with #`})
			continue
		}
		value, closed := s.value()
		switch {
		case strings.HasPrefix(name, "export ") || strings.HasPrefix(name, "export\t"):
			faults = append(faults, fault{line, `"export" is not part of the format; write NAME=value`})
		case !validName(name):
			faults = append(faults, fault{line, "this is no variable's name before the \"=\"; names are of letters, digits and _"})
		case !closed:
			faults = append(faults, fault{line, "a quote is opened and never closed; close it"})
		default:
			assignments = append(assignments, assignment{name, value, line, s.line})
		}
	}
	return assignments, faults
}

// validName reports whether name is one that an environment variable may
// have.
func validName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c == '_', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		case '0' <= c && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return name != ""
}

const (
	newlines   = "\n\r"
	whitespace = " \t" + newlines
)

// scanner is a place in a configuration file.
type scanner struct {
	rest string
	line int // of the first character of rest
}

// next takes a character.
func (s *scanner) next() byte {
	c := s.rest[0]
	s.take(1)
	return c
}

// take takes n bytes.
func (s *scanner) take(n int) string {
	taken := s.rest[:n]
	s.rest = s.rest[n:]
	s.line += strings.Count(taken, "\n")
	return taken
}

// takeUntil takes what is before the first of stops, or everything.
func (s *scanner) takeUntil(stops string) string {
	n := strings.IndexAny(s.rest, stops)
	if n < 0 {
		n = len(s.rest)
	}
	return s.take(n)
}

func (s *scanner) at(set string) bool {
	return s.rest != "" && strings.IndexByte(set, s.rest[0]) >= 0
}

// skipToName skips white space and comments; false at the end.
func (s *scanner) skipToName() bool {
	for {
		for s.at(whitespace) {
			s.take(1)
		}
		if !s.at("#;") {
			return s.rest != ""
		}
		s.takeUntil(newlines)
	}
}

// name takes a name and its "="; false if the line has none.
func (s *scanner) name() (string, bool) {
	name := s.takeUntil("=" + newlines)
	if !s.at("=") {
		return "", false
	}
	s.take(1)
	return strings.TrimRight(name, whitespace), true
}

// value takes a value up to the end of its last line; false if it ends inside
// quotes.
func (s *scanner) value() (string, bool) {
	var b strings.Builder
	for {
		for s.at(" \t") {
			s.take(1)
		}
		switch {
		case s.at("'"):
			s.take(1)
			b.WriteString(s.takeUntil("'"))
			if s.rest == "" {
				return "", false
			}
			s.take(1)
		case s.at(`"`):
			s.take(1)
			if !s.doubleQuoted(&b) {
				return "", false
			}
		default:
			return b.String() + s.unquoted(), true
		}
	}
}

// doubleQuoted takes the rest of a part in double quotes; false if it does not
// end.
func (s *scanner) doubleQuoted(b *strings.Builder) bool {
	for {
		b.WriteString(s.takeUntil(`"\`))
		if s.rest == "" {
			return false
		}
		if s.next() == '"' {
			return true
		}
		switch {
		case s.rest == "":
			return false
		case s.at("\n"):
			s.take(1)
		case s.at("\"\\`$"):
			b.WriteByte(s.next())
		default:
			b.WriteByte('\\')
		}
	}
}

// unquoted takes a value up to the end of the line, without the white space
// before that.
func (s *scanner) unquoted() string {
	var b strings.Builder
	end := 0 // the length without white space at the end
	for s.rest != "" && !s.at(newlines) {
		switch c := s.next(); {
		case c == '\\':
			if s.rest != "" {
				if c := s.next(); c != '\n' && c != '\r' {
					b.WriteByte(c)
				}
			}
			end = b.Len()
		case c == ' ' || c == '\t':
			b.WriteByte(c)
		default:
			b.WriteByte(c)
			end = b.Len()
		}
	}
	return b.String()[:end]
}
