//go:build systemd

package systemdtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// What a test binary is told that is to become a machine's systemd.
const (
	initVariable    = "MUSTER_SYSTEMDTEST_INIT"    // the test that the machine is for
	dirVariable     = "MUSTER_SYSTEMDTEST_DIR"     // holds root/, to mount on, and results/
	cgroupsVariable = "MUSTER_SYSTEMDTEST_CGROUPS" // its control groups
	// ProgramsVariable names the folder of muster, fakeserver and the package.
	programsVariable = "MUSTER_SYSTEMDTEST_PROGRAMS"
)

// Where the machine has what the test needs, and where the results go.
const (
	insidePrograms = "/run/muster-test/programs"
	insideResults  = "/run/muster-test/results"
	insideBinary   = "/run/muster-test/test"
)

// testUnit runs the test, whose end is the machine's.
const testUnit = `[Unit]
Description=the test %[1]s
SuccessAction=exit-force
FailureAction=exit-force
StartLimitIntervalSec=0
[Service]
Type=exec
Environment=%[2]s=%[1]s %[3]s=` + insidePrograms + ` HOME=/root NO_COLOR=1
WorkingDirectory=/run/muster-test
ExecStart=` + insideBinary + ` -test.run=^%[1]s$ -test.v -test.timeout=%[4]v
StandardOutput=file:` + insideResults + `/out
StandardError=inherit
`

// beforeBoot is what is done to a test's machine before its systemd starts: to
// have a service that the boot starts.
var beforeBoot = map[string]func() error{}

// journalConf keeps every line: the service is made to say a lot.
const journalConf = "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nRuntimeMaxUse=100M\n"

// becomeSystemd makes this process, which is the first one of fresh namespaces,
// the systemd of a machine for a test. It returns only if that fails.
func becomeSystemd(test string) error {
	runtime.LockOSThread() // the thread that leaves its cgroup namespace is to be systemd
	dir := os.Getenv(dirVariable)
	var groups []string
	for group := range strings.SplitSeq(os.Getenv(cgroupsVariable), ":") {
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
		groups = append(groups, group)
	}
	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("leave the cgroup namespace: %w", err)
	}
	root := filepath.Join(dir, "root", "merged")
	if err := errors.Join(mountRoot(filepath.Join(dir, "root")), mountKernel(root), mountCgroups(root, groups), furnish(root, dir, test)); err != nil {
		return err
	}
	if err := enter(root); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	if prepare := beforeBoot[test]; prepare != nil {
		if err := prepare(); err != nil {
			return err
		}
	}
	const systemd = "/lib/systemd/systemd"
	return fmt.Errorf("%s: %w", systemd, syscall.Exec(systemd,
		[]string{systemd, "--system", "systemd.show_status=0", "systemd.unit=muster-test.target", "--log-target=journal"},
		[]string{"container=muster-test", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}))
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s at %s (%s): %w", kind, target, data, err)
	}
	return nil
}

// bind mounts a file or folder at another place.
func bind(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if err := os.WriteFile(target, nil, 0o644); err != nil {
			return err
		}
	} else if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	return nil
}

// mountRoot mounts, at top/merged, this machine's root with all changes kept in
// memory.
func mountRoot(top string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to this namespace: %w", err)
	}
	if err := mount("tmpfs", top, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, folder := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(top, folder), 0o755); err != nil {
			return err
		}
	}
	return mount("overlay", filepath.Join(top, "merged"), "overlay", 0,
		fmt.Sprintf("lowerdir=/,upperdir=%[1]s/upper,workdir=%[1]s/work", top))
}

// mountKernel mounts what is not on disk.
func mountKernel(root string) error {
	err := errors.Join(
		mount("proc", root+"/proc", "proc", 0, ""),
		mount("sysfs", root+"/sys", "sysfs", syscall.MS_RDONLY, ""),
		mount("tmpfs", root+"/run", "tmpfs", 0, "mode=755"),
		mount("tmpfs", root+"/tmp", "tmpfs", 0, "mode=1777"),
		mount("tmpfs", root+"/dev", "tmpfs", 0, "mode=755"),
		// What this machine has enabled is no matter of the test's.
		mount("tmpfs", root+"/etc/systemd/system", "tmpfs", 0, "mode=755"),
		mount("devpts", root+"/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666"),
		mount("tmpfs", root+"/dev/shm", "tmpfs", 0, "mode=1777"),
		os.Symlink("pts/ptmx", root+"/dev/ptmx"),
	)
	// The kernel's settings are this machine's.
	err = errors.Join(err, bind(root+"/proc/sys", root+"/proc/sys"), mount("", root+"/proc/sys", "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""))
	for _, device := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		err = errors.Join(err, bind("/dev/"+device, root+"/dev/"+device))
	}
	return err
}

// mountCgroups mounts the hierarchies in which the machine has its groups.
func mountCgroups(root string, groups []string) error {
	top := root + "/sys/fs/cgroup"
	if len(groups) == 1 && filepath.Dir(groups[0]) == "/sys/fs/cgroup" {
		return mount("cgroup2", top, "cgroup2", 0, "")
	}
	err := mount("tmpfs", top, "tmpfs", 0, "mode=755")
	for _, group := range groups {
		switch name := filepath.Base(filepath.Dir(group)); name {
		case "unified":
			err = errors.Join(err, mount("cgroup2", filepath.Join(top, name), "cgroup2", 0, ""))
		case "systemd":
			err = errors.Join(err, mount("cgroup", filepath.Join(top, name), "cgroup", 0, "none,name=systemd"))
		default:
			err = errors.Join(err, mount("cgroup", filepath.Join(top, name), "cgroup", 0, name))
		}
	}
	return err
}

// furnish brings in what the test needs.
func furnish(root, dir, test string) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	err = os.MkdirAll(root+filepath.Dir(insideBinary), 0o755)
	err = errors.Join(err,
		bind(binary, root+insideBinary),
		bind(filepath.Join(dir, "results"), root+insideResults),
		bind(os.Getenv(programsVariable), root+insidePrograms))
	for name, text := range map[string]string{
		"/etc/systemd/system/muster-test.target":        "[Unit]\nRequires=basic.target muster-test.service\nWants=multi-user.target\nAfter=basic.target\n",
		"/etc/systemd/system/muster-test.service":       fmt.Sprintf(testUnit, test, insideVariable, programsVariable, lifetime-patience),
		"/run/systemd/journald.conf.d/muster-test.conf": journalConf,
		// Newer than /usr, so that nothing is made anew at the boot.
		"/etc/.updated": "", "/var/.updated": "",
	} {
		err = errors.Join(err, os.MkdirAll(filepath.Dir(root+name), 0o755), os.WriteFile(root+name, []byte(text), 0o644))
	}
	// An image for containers forbids packages to start services.
	if gone := os.Remove(root + "/usr/sbin/policy-rc.d"); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// enter makes root the root.
func enter(root string) error {
	old := filepath.Join(root, "run", "old")
	err := os.Mkdir(old, 0o755)
	if err == nil {
		err = syscall.PivotRoot(root, old)
	}
	if err == nil {
		err = os.Chdir("/")
	}
	if err == nil {
		err = syscall.Unmount("/run/old", syscall.MNT_DETACH)
	}
	if err == nil {
		err = os.Remove("/run/old")
	}
	if err == nil {
		// As on every machine with systemd: its helpers mount in namespaces of
		// their own for others to see (credentials).
		err = syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, "")
	}
	if err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	return nil
}

// loopbackUp: a fresh network namespace has its loopback interface down.
func loopbackUp() error {
	out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	return nil
}
