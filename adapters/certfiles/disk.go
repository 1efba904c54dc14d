package certfiles

// op names a call to the file system.
type op string

const (
	opOpen    op = "open"
	opRead    op = "read"
	opCreate  op = "create"
	opWrite   op = "write"
	opSync    op = "sync"
	opRename  op = "rename"
	opRemove  op = "remove"
	opMkdir   op = "mkdir"
	opSyncDir op = "sync directory"
)

// disk passes on the calls to the file system. Tests fail a call, or stop at
// it as a crash would, through around; it is nil otherwise.
type disk struct {
	around func(op op, path string, call func() error) error
}

func (d *disk) do(op op, path string, call func() error) error {
	if d.around == nil {
		return call()
	}
	return d.around(op, path, call)
}
