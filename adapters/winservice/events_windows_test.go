package winservice

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/sys/windows/svc/eventlog"
)

func TestWhatAnAdministratorSees(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var said []string
	events := newEvents(func(kind uint16, id uint32, text string) error {
		said = append(said, fmt.Sprintf("%d %d %s", kind, id, text))
		return nil
	})
	log := slog.New(events)
	event := func(name string) slog.Attr { return slog.String("event", name) }
	log.Info("muster 1.0 starts", event("starting"), slog.String("state_dir", `C:\ProgramData\Muster`))
	log.Info("asking", event("enroll.attempt"))
	log.Info("no event")
	log.Debug("details", event("starting"))
	for attempt := range 3 { // once
		log.Warn("refused", event("enroll.rejected"), slog.Int("attempt", attempt))
	}
	log.With("of", "site").WithGroup("x").Error("another reason", event("enroll.rejected"))
	log.Warn("refused", event("enroll.rejected"))
	is.NoErr(events.Failed("bad configuration"))
	is.Equal(said, []string{
		fmt.Sprint(eventlog.Info, " 1 muster 1.0 starts\r\nstate_dir: C:\\ProgramData\\Muster"),
		fmt.Sprint(eventlog.Warning, " 12 refused\r\nattempt: 0"),
		fmt.Sprint(eventlog.Error, " 12 another reason\r\nof: site"),
		fmt.Sprint(eventlog.Warning, " 12 refused"),
		fmt.Sprint(eventlog.Error, " 3 bad configuration"),
	})
}

func TestTheTextOfAnEvent(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	is.Equal(printable("a\x00b [fe80::1%3]"), "ab [fe80::1% 3]")
	is.True(len(printable(strings.Repeat("€", 40_000))) <= 30_000)
}

func TestEventIDs(t *testing.T) {
	t.Parallel()
	seen := map[uint32]bool{failedID: true}
	for name, id := range eventIDs {
		if id < 1 || id > 1000 || seen[id] {
			t.Errorf("%s has the id %d", name, id)
		}
		seen[id] = true
	}
}

// TestTheEventLog shows that the system takes what is written.
func TestTheEventLog(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	events, err := OpenEvents("muster-test")
	is.NoErr(err)
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		record := slog.Record{Level: level, Message: level.String()}
		record.Add("event", "starting")
		is.NoErr(events.Handle(t.Context(), record))
	}
	is.NoErr(events.Failed("an end"))
	is.NoErr(removeEvents("muster-test-absent"))
}

func TestTheLogIsBounded(t *testing.T) {
	is := is.New(t) // not parallel: a process has one place for its crash
	dir := filepath.Join(t.TempDir(), "logs")
	log := &LogFile{Path: filepath.Join(dir, "muster.log"), Limit: 100, Prepare: func() error { return os.MkdirAll(dir, 0o700) }}
	t.Cleanup(func() { _ = log.Close() })
	line := strings.Repeat("x", 39) + "\n"
	for n := range 10 {
		_, err := fmt.Fprintf(log, "%d%s", n, line[1:])
		is.NoErr(err)
	}
	is.NoErr(log.Close())
	_, err := fmt.Fprintf(log, "a%s", line[1:]) // opened again: it goes on behind what is there
	is.NoErr(err)
	read := func(name string) (firsts string) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		is.NoErr(err)
		is.True(len(content) <= 100)
		for l := range strings.Lines(string(content)) {
			firsts += l[:1]
		}
		return firsts
	}
	is.Equal(read("muster.log.1"), "89")
	is.Equal(read("muster.log"), "a")

	// Somebody has the old one open in a way that keeps it from being replaced.
	is.NoErr(log.Close())
	is.NoErr(os.Remove(filepath.Join(dir, "muster.log.1")))
	is.NoErr(os.Mkdir(filepath.Join(dir, "muster.log.1"), 0o700))
	for range 5 {
		_, err := log.Write([]byte(line))
		is.NoErr(err)
	}
	read("muster.log")
}

func TestALogThatCannotBeWritten(t *testing.T) {
	is := is.New(t)
	dir := t.TempDir()
	trouble := errors.New("no directory")
	log := &LogFile{Path: filepath.Join(dir, "muster.log"), Limit: 100, Prepare: func() error { return trouble }}
	t.Cleanup(func() { _ = log.Close() })
	_, err := log.Write([]byte("lost\n"))
	is.True(errors.Is(err, trouble))
	trouble = nil
	_, err = log.Write([]byte("kept\n"))
	is.NoErr(err)
	content, err := os.ReadFile(log.Path)
	is.NoErr(err)
	is.Equal(string(content), "kept\n")
}
