package statedir

import "context"

// record is a file that holds one T.
type record[T any] struct {
	recordFile
	marshal func(T) ([]byte, error)
	// machineUID is what the Protector binds the content to.
	machineUID func(T) string
}

// newRecord returns a record in f. What the Protector binds it to is
// the machine that the directory's identity names.
func newRecord[T any](f recordFile, marshal func(T) ([]byte, error), unmarshal func(format int, payload []byte) (T, error)) record[T] {
	f.unmarshal = func(format int, payload []byte) (any, error) { return unmarshal(format, payload) }
	return record[T]{recordFile: f, marshal: marshal, machineUID: func(T) string { return f.dir.machineUID() }}
}

// load returns what is stored, or an error of kind ErrNotStored,
// ErrUnreadable, ErrDamaged or ErrNewerFormat.
func (r *record[T]) load() (v T, err error) {
	f, err := r.dir.folder(r.folder, false)
	if err != nil {
		return v, err
	}
	defer f.Close()
	found, data, err := r.settle(f)
	if err != nil {
		return v, err
	}
	v = found.(T)
	if r.protects() && !r.protected(data) && !r.reserved && !r.dir.opts.ReadOnly {
		_ = r.save(v) // an earlier version wrote it; if not now, the next load does
	}
	return v, nil
}

// save replaces what is stored. The error is of kind ErrNotWritten,
// ErrUnreadable or ErrNewerFormat.
func (r *record[T]) save(v T) error {
	payload, err := r.marshal(v)
	if err != nil {
		return r.notWritten(err)
	}
	machineUID := ""
	if r.protects() {
		machineUID = r.machineUID(v)
	}
	return r.replace(payload, machineUID)
}

// read is load as a call of its own.
func (r *record[T]) read(ctx context.Context) (v T, err error) {
	end, err := r.dir.begin(ctx)
	if err != nil {
		return v, err
	}
	defer end()
	return r.load()
}

// write is save as a call of its own.
func (r *record[T]) write(ctx context.Context, v T) error {
	return r.dir.change(ctx, func() error { return r.save(v) })
}
