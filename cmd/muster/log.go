package main

import (
	"log/slog"

	"github.com/muster-agent/muster/ports"
)

// logger writes to standard error as the configuration says, and where a
// service manager wants to see events, also there.
func (p *program) logger(settings ports.Settings) *slog.Logger {
	options := &slog.HandlerOptions{
		Level: map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[settings.LogLevel], // else info, the zero Level
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration { // JSON would show nanoseconds
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		},
	}
	var handler slog.Handler = slog.NewTextHandler(p.stderr, options)
	if settings.LogFormat == "json" {
		handler = slog.NewJSONHandler(p.stderr, options)
	}
	if p.events != nil {
		handler = slog.NewMultiHandler(handler, p.events)
	}
	return slog.New(handler)
}
