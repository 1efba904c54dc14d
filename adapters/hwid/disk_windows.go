package hwid

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Requests of winioctl.h. Neither needs a right to read or write the device, so
// that every account may send them.
const (
	ioctlVolumeGetVolumeDiskExtents = 0x560000
	ioctlStorageQueryProperty       = 0x2d1400
)

// diskSerials asks for the disks that hold the volume of Windows.
func diskSerials() ([]string, error) {
	dir, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return nil, err
	}
	drive, _, found := strings.Cut(dir, `\`)
	if !found || len(drive) != 2 {
		return nil, fmt.Errorf("%s is on no drive", dir)
	}
	disks, err := disksOf(`\\.\` + drive)
	if err != nil {
		return nil, err
	}
	var serials []string
	for _, disk := range disks {
		serial, err := serialOf(fmt.Sprintf(`\\.\PhysicalDrive%d`, disk))
		if err != nil {
			return nil, err
		}
		serials = append(serials, serial)
	}
	return serials, nil
}

// disksOf returns the numbers of the disks that a volume lies on.
func disksOf(volume string) ([]uint32, error) {
	// VOLUME_DISK_EXTENTS
	var answer struct {
		count   uint32
		extents [64]struct { // as many disks as a storage space has, and more
			disk          uint32
			start, length int64
		}
	}
	if _, err := ask(volume, ioctlVolumeGetVolumeDiskExtents, nil, (*[unsafe.Sizeof(answer)]byte)(unsafe.Pointer(&answer))[:]); err != nil {
		return nil, err
	}
	var disks []uint32
	for _, extent := range answer.extents[:min(int(answer.count), len(answer.extents))] {
		disks = append(disks, extent.disk)
	}
	return disks, nil
}

// serialOf returns a disk's serial; empty if it has none.
func serialOf(disk string) (string, error) {
	query := make([]byte, 12)     // STORAGE_PROPERTY_QUERY: StorageDeviceProperty, PropertyStandardQuery, both 0
	answer := make([]byte, 4<<10) // STORAGE_DEVICE_DESCRIPTOR, and what its offsets point at
	n, err := ask(disk, ioctlStorageQueryProperty, query, answer)
	if err != nil {
		return "", err
	}
	return serialIn(answer[:n]), nil
}

// serialIn returns the text at SerialNumberOffset of a STORAGE_DEVICE_DESCRIPTOR,
// without the space around it. An offset of 0 or, from some drivers, of all ones
// means that there is none.
func serialIn(descriptor []byte) string {
	const offset = 24
	if len(descriptor) < offset+4 {
		return ""
	}
	start := binary.LittleEndian.Uint32(descriptor[offset:])
	if start == 0 || uint64(start) >= uint64(len(descriptor)) {
		return ""
	}
	serial, _, _ := bytes.Cut(descriptor[start:], []byte{0})
	return string(bytes.TrimSpace(serial))
}

// ask sends a device a request and returns how many bytes it answered.
func ask(device string, request uint32, question, answer []byte) (int, error) {
	name, err := windows.UTF16PtrFromString(device)
	if err != nil {
		return 0, err
	}
	handle, err := windows.CreateFile(name, 0, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return 0, err
	}
	defer windows.CloseHandle(handle) // nothing was written
	var n uint32
	err = windows.DeviceIoControl(handle, request, unsafe.SliceData(question), uint32(len(question)), unsafe.SliceData(answer), uint32(len(answer)), &n, nil)
	return int(n), err
}
