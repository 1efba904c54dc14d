package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// logger writes to standard error as the configuration says, and where a
// service manager wants to see events, also there.
func (p *program) logger(settings ports.Settings) *slog.Logger {
	options := &slog.HandlerOptions{
		Level: map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[settings.LogLevel], // else info, the zero Level
	}
	var handler slog.Handler = slog.NewTextHandler(p.stderr, options)
	if settings.LogFormat == "json" {
		handler = slog.NewJSONHandler(p.stderr, options)
	}
	if p.events != nil {
		handler = slog.NewMultiHandler(handler, p.events)
	}
	return slog.New(readable{handler})
}

// readable hands its records on with durations as a person reads them. JSON
// would show nanoseconds.
type readable struct{ slog.Handler }

// Handle implements slog.Handler.
func (h readable) Handle(ctx context.Context, record slog.Record) error {
	short := slog.NewRecord(record.Time, record.Level, record.Message, record.PC)
	record.Attrs(func(a slog.Attr) bool {
		short.AddAttrs(shortened(a))
		return true
	})
	return h.Handler.Handle(ctx, short)
}

// WithAttrs implements slog.Handler.
func (h readable) WithAttrs(attrs []slog.Attr) slog.Handler {
	short := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		short[i] = shortened(a)
	}
	return readable{h.Handler.WithAttrs(short)}
}

// WithGroup implements slog.Handler.
func (h readable) WithGroup(name string) slog.Handler { return readable{h.Handler.WithGroup(name)} }

// shortened replaces a duration, also one in a group.
func shortened(a slog.Attr) slog.Attr {
	switch a.Value = a.Value.Resolve(); a.Value.Kind() {
	case slog.KindDuration:
		a.Value = slog.StringValue(retry.Text(a.Value.Duration()))
	case slog.KindGroup:
		members := slices.Clone(a.Value.Group())
		for i, m := range members {
			members[i] = shortened(m)
		}
		a.Value = slog.GroupValue(members...)
	}
	return a
}

// personLogger is the logger of a command whose lines a person reads: at a
// terminal nothing but warnings comes between them, unless a level was asked
// for.
func (p *program) personLogger(config *configuration) *slog.Logger {
	settings := config.settings
	if config.defaulted("MUSTER_LOG_LEVEL") && isTerminal(p.stderr) {
		settings.LogLevel = "warn"
	}
	return p.logger(settings)
}

// defaulted reports whether nobody has set a variable.
func (c *configuration) defaulted(name string) bool {
	return slices.ContainsFunc(c.Values(), func(v envconfig.Value) bool { return v.Name == name && v.From == envconfig.FromDefault })
}

// isTerminal reports whether somebody sees what is written as it is written.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && terminal(file.Fd())
}
