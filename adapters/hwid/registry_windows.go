package hwid

import (
	"strings"

	"golang.org/x/sys/windows/registry"
)

// machineGUID reads the GUID that is made when Windows is installed. A 32-bit
// program has to ask for the place where 64-bit ones look.
func machineGUID() (string, error) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Cryptography`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return "", err
	}
	defer key.Close() // read only: nothing is lost
	guid, _, err := key.GetStringValue("MachineGuid")
	return strings.TrimSpace(guid), err
}

// inContainer looks for the value by which Windows itself decides.
func inContainer() bool {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Control`, registry.QUERY_VALUE)
	if err != nil {
		return false
	}
	defer key.Close() // read only: nothing is lost
	_, _, err = key.GetIntegerValue("ContainerType")
	return err == nil
}
