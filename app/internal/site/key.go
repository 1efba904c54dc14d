package site

import (
	"context"
	"errors"

	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/ports"
)

// ForgetKey removes the enrollment key from where it lies at rest, now that
// there is a credential. That it cannot is said once: neither the agent nor its
// work depends on it.
func (k *Keeper) ForgetKey(ctx context.Context) {
	if k.KeyPlace == nil || k.keyForgotten {
		return
	}
	err := k.KeyPlace.Forget(ctx)
	switch {
	case err == nil:
		k.Log.Info("the enrollment key is removed from this machine", ports.EventEnrollmentKey.Attr())
	case ctx.Err() != nil:
		return
	default:
		text := "the enrollment key stays on this machine: " + err.Error()
		if !errors.Is(err, ports.ErrNotRemovable) {
			text += "; it is tried again at the next start"
		}
		k.Log.Warn(text, ports.EventEnrollmentKey.Attr())
	}
	k.keyForgotten = true
}

// ForgetKeyIfEnrolled is ForgetKey for who does not know whether there is a
// credential of what is configured.
func (k *Keeper) ForgetKeyIfEnrolled(ctx context.Context) {
	if k.KeyPlace == nil {
		return
	}
	if found, _, err := k.Find(ctx); err == nil && found.Stored == credential.Ours {
		k.ForgetKey(ctx)
	}
}
