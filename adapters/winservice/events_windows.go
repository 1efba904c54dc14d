package winservice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc/eventlog"

	"github.com/muster-agent/muster/ports"
)

// The ids of the events that an administrator should see, by the attribute "event"
// of their log lines. An id never changes its meaning, since filters and alarms
// rely on it. EventCreate.exe, whose texts show the events, has texts for the ids
// 1 to 1000.
var eventIDs = map[ports.Event]uint32{
	ports.EventStarting:           1,
	ports.EventStopping:           2,
	ports.EventNotConfigured:      4,
	ports.EventEnrollEnrolled:     10,
	ports.EventEnrollPending:      11,
	ports.EventEnrollRejected:     12,
	ports.EventEnrollSiteConflict: 13,
	ports.EventEnrollDenied:       14,
	ports.EventManagerRegistered:  15,
	ports.EventManagerApproved:    16,
	ports.EventCredentialRefused:  20,
	ports.EventCloneDetected:      21,
	ports.EventStoreRecovered:     22,
	ports.EventStoreBlocked:       23,
	ports.EventCertsInstalled:     30,
	ports.EventCertsRenewed:       31,
	ports.EventClockSkew:          40,
}

// failedID is the id of an end with an error.
const failedID = 3

// Events is a slog.Handler that writes the events that an administrator should see
// to the log Application, and drops all other lines. It does not repeat the last
// message of an id: a refusal may come at every attempt.
type Events struct {
	report func(kind uint16, id uint32, text string) error
	attrs  []slog.Attr
	said   *sync.Map // id → message
}

// OpenEvents writes as the source of that name, which Manager.Install
// registers. It is never closed: it lasts as long as the process.
func OpenEvents(source string) (*Events, error) {
	log, err := eventlog.Open(source)
	if err != nil {
		return nil, fmt.Errorf("opening the event log: %w", err)
	}
	report := func(kind uint16, id uint32, text string) error {
		switch kind {
		case eventlog.Error:
			return log.Error(id, text)
		case eventlog.Warning:
			return log.Warning(id, text)
		}
		return log.Info(id, text)
	}
	return newEvents(report), nil
}

func newEvents(report func(kind uint16, id uint32, text string) error) *Events {
	return &Events{report: report, said: new(sync.Map)}
}

// Failed says that the service ends with an error.
func (e *Events) Failed(text string) error {
	return e.report(eventlog.Error, failedID, printable(text))
}

// Enabled implements slog.Handler.
func (e *Events) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements slog.Handler.
func (e *Events) Handle(_ context.Context, record slog.Record) error {
	var id uint32
	text := record.Message
	add := func(a slog.Attr) bool {
		if a.Key == ports.EventKey {
			id = eventIDs[ports.Event(a.Value.String())]
		} else {
			text += fmt.Sprintf("\r\n%s: %v", a.Key, a.Value.Resolve())
		}
		return true
	}
	for _, a := range e.attrs {
		add(a)
	}
	record.Attrs(add)
	if id == 0 {
		return nil
	}
	if last, _ := e.said.Swap(id, record.Message); last == record.Message {
		return nil
	}
	kind := uint16(eventlog.Info)
	switch {
	case record.Level >= slog.LevelError:
		kind = eventlog.Error
	case record.Level >= slog.LevelWarn:
		kind = eventlog.Warning
	}
	return e.report(kind, id, printable(text))
}

// WithAttrs implements slog.Handler.
func (e *Events) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *e
	with.attrs = append(with.attrs[:len(with.attrs):len(with.attrs)], attrs...)
	return &with
}

// WithGroup implements slog.Handler; an event shows no groups.
func (e *Events) WithGroup(string) slog.Handler { return e }

// printable returns a text as the event log takes it (ReportEvent): without NUL,
// with %1 no longer an insert, and within 31,839 characters.
func printable(text string) string {
	const longest = 30_000 // in bytes, of which there are at least as many as characters
	text = strings.NewReplacer("\x00", "", "%", "% ").Replace(text)
	return strings.ToValidUTF8(text[:min(len(text), longest)], "")
}

// Where the sources of the log Application are registered.
const eventSources = `SYSTEM\CurrentControlSet\Services\EventLog\Application`

// installEvents registers a source, or brings its registration up to date.
func installEvents(source string) error {
	key, _, err := registry.CreateKey(registry.LOCAL_MACHINE, eventSources+`\`+source, registry.SET_VALUE)
	if err != nil {
		return fmt.Errorf("registering with the event log: %w", err)
	}
	defer key.Close() // what was set is set
	if err := errors.Join(
		key.SetDWordValue("CustomSource", 1),
		key.SetExpandStringValue("EventMessageFile", `%SystemRoot%\System32\EventCreate.exe`),
		key.SetDWordValue("TypesSupported", eventlog.Error|eventlog.Warning|eventlog.Info),
	); err != nil {
		return fmt.Errorf("registering with the event log: %w", err)
	}
	return nil
}

func removeEvents(source string) error {
	err := registry.DeleteKey(registry.LOCAL_MACHINE, eventSources+`\`+source)
	if err != nil && !errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return fmt.Errorf("taking the registration with the event log away: %w", err)
	}
	return nil
}
