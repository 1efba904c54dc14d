package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// recordFile is where a record lies: in an envelope, unless it is bare. It
// knows nothing of what the record means.
type recordFile struct {
	dir    *Dir
	folder string // that the file lies in; "." for the state directory itself
	name   string
	// format that is written; unmarshal reads it and every older one.
	format int
	bare   bool
	// purpose is what the Protector binds the content to, beside the machine;
	// empty for what is not secret.
	purpose string
	// private: others than the owner may not read it, or it is not used.
	private  bool
	readBack bool
	room     int // size of the placeholder that reserve leaves, in bytes, unprotected
	// reserved: this process has left a placeholder in the way of
	// replacements.
	reserved bool
	// unmarshal returns the value that a payload stands for.
	unmarshal func(format int, payload []byte) (any, error)
}

// replace writes a payload in place of what the file holds.
func (r *recordFile) replace(payload []byte, machineUID string) error {
	data, err := r.encode(payload, machineUID)
	if err != nil {
		return r.notWritten(err)
	}
	f, old, err := r.prepare()
	if err != nil {
		return err
	}
	defer f.Close()
	content := durable.Content{Data: data, Reserved: r.reserved, ReadBack: r.readBack, Old: old}
	r.reserved = false
	if err := f.Replace(r.name, content); err != nil {
		return r.notWritten(err)
	}
	return nil
}

// encode returns what the file is to hold.
func (r *recordFile) encode(payload []byte, machineUID string) ([]byte, error) {
	format := r.format
	switch {
	case r.protects():
		var err error
		format = protectedFormat
		if payload, err = r.protect(payload, machineUID); err != nil {
			return nil, err
		}
	case r.bare:
		return payload, nil
	}
	return seal(format, r.dir.opts.Version, payload)
}

// reserve makes sure that the save after it finds room. The error is that of
// save.
func (r *recordFile) reserve() error {
	f, _, err := r.prepare()
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Reserve(r.name, r.placeholder(), r.reserved)
	r.reserved = err == nil
	if err != nil {
		return r.notWritten(err)
	}
	return nil
}

// hasRoom reports whether the placeholder that this process left is still
// there.
func (r *recordFile) hasRoom() bool {
	if !r.reserved {
		return false
	}
	f, err := r.dir.folder(r.folder, false)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Lstat(r.name + durable.NewSuffix)
	return err == nil && info.Mode().IsRegular() && info.Size() == int64(r.placeholder())
}

func (r *recordFile) notWritten(err error) error {
	return notWritten(filepath.Join(r.dir.path, r.folder, r.name), err)
}

// prepare opens the folder for a write and returns what the file holds, nil if
// it holds nothing.
func (r *recordFile) prepare() (*folder, []byte, error) {
	f, err := r.dir.folder(r.folder, true)
	if err != nil {
		return nil, nil, err
	}
	old, err := r.clear(f)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, old, nil
}

// clear sees to it that the file may be written over or removed, and returns
// what it holds, nil if it holds nothing.
func (r *recordFile) clear(f *folder) ([]byte, error) {
	_, old, err := r.settle(f)
	if errors.Is(err, ports.ErrDamaged) {
		if _, statErr := f.Lstat(r.name); !errors.Is(statErr, fs.ErrNotExist) {
			return nil, r.notWritten(errors.New("a damaged file lies there and could not be set aside; remove it"))
		}
		return nil, nil
	}
	if errors.Is(err, ports.ErrNotStored) {
		return nil, nil
	}
	return old, err
}

// settle returns what is stored, as a value and as it stands in the file,
// after it has finished a replacement that was interrupted and set aside what
// is damaged.
//
// What lies complete at name.new is the newest content: a save writes it
// before anything else, and removes it when it fails.
func (r *recordFile) settle(f *folder) (v any, data []byte, err error) {
	var bad *damage
	v, data, err = r.look(f, r.name)
	if err != nil && !errors.As(err, &bad) && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	if !r.reserved {
		orphan, orphanData, orphanErr := r.look(f, r.name+durable.NewSuffix)
		switch {
		case orphanErr == nil:
			if bad == nil || f.setAside(r.name, bad.reason) {
				f.finish(r.name)
			}
			return orphan, orphanData, nil
		case !errors.Is(orphanErr, fs.ErrNotExist):
			if !errors.As(orphanErr, new(*damage)) {
				return nil, nil, orphanErr
			}
			f.removeLeftovers(r.name+durable.NewSuffix, orphanErr.Error())
		}
	}
	switch {
	case bad != nil:
		f.setAside(r.name, bad.reason)
		return nil, nil, damaged(f.At(r.name), bad)
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", f.At(r.name), ports.ErrNotStored)
	}
	return v, data, nil
}

// look reads and judges the file name and changes nothing. The error is of
// kind fs.ErrNotExist, ErrUnreadable or ErrNewerFormat, or a *damage.
func (r *recordFile) look(f *folder, name string) (v any, data []byte, err error) {
	data, info, err := f.read(name)
	if err != nil {
		return v, nil, err
	}
	v, err = r.judge(f.At(name), data)
	if err == nil && r.private {
		err = f.private(name, info)
		if err != nil {
			err = unreadable(f.At(name), err)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return v, data, nil
}

// judge says what the content of the file at path is. The error is of kind
// ErrNewerFormat or, where the protection does not work, ErrUnreadable, or a
// *damage.
func (r *recordFile) judge(path string, data []byte) (v any, err error) {
	e := envelope{Format: r.format, Payload: data}
	if !r.bare || r.protects() && r.protected(data) {
		if e, err = unseal(data); err != nil {
			return v, err
		}
	}
	writtenBy := e.WrittenBy
	if e.Format == protectedFormat && r.purpose != "" {
		if e, err = r.unprotect(path, e.Payload); err != nil {
			return v, err
		}
	}
	if e.Format > r.format {
		return v, fmt.Errorf("%s was %w: muster %q wrote it in format %d, this one reads up to format %d; install that version again (nothing was changed)",
			path, ports.ErrNewerFormat, writtenBy, e.Format, r.format)
	}
	v, err = r.unmarshal(e.Format, e.Payload)
	if err != nil {
		return v, &damage{reason: err.Error()}
	}
	return v, nil
}

// finish completes a replacement that was interrupted before its rename. Where
// it cannot, the next start tries again.
func (f *folder) finish(name string) {
	if f.dir.opts.ReadOnly || f.Take(name) != nil {
		return
	}
	_ = f.Sync() // the content is complete under either name
	f.dir.report(ports.Recovery{
		File:   f.At(name),
		Action: "completed an interrupted replacement",
		Reason: "a complete newer version lay beside it",
	})
}

// removeLeftovers removes the remains of a write that was interrupted, a placeholder
// too. What no write leaves is set aside.
func (f *folder) removeLeftovers(name, reason string) {
	if f.dir.opts.ReadOnly {
		return
	}
	if info, err := f.Lstat(name); err == nil && !info.Mode().IsRegular() {
		f.setAside(name, reason)
		return
	}
	_ = f.RemoveAll(name) // if it stays, the next write says why
}
