package hwid

import "strings"

// container decides as systemd-detect-virt --container does, by the same marks in
// the same order.
func (t tree) container() bool {
	if t.exists("proc/vz") && !t.exists("proc/bc") {
		return true // OpenVZ
	}
	release := t.text("proc/sys/kernel/osrelease")
	if strings.Contains(release, "Microsoft") || strings.Contains(release, "WSL") {
		return true // Windows Subsystem for Linux
	}
	if t.tracedByPRoot() {
		return true
	}
	if t.text("run/host/container-manager") != "" || t.text("run/systemd/container") != "" {
		return true
	}
	// Only root may read this, and in a container without systemd the variable
	// may be nowhere else. Where it cannot be read, the files below decide.
	if manager, set := t.environment("proc/1/environ", "container"); set {
		return manager != ""
	}
	return t.exists("run/.containerenv") || t.exists(".dockerenv") // Podman, Docker
}

// environment looks up a variable of a process.
func (t tree) environment(name, variable string) (value string, set bool) {
	b, err := t.read(name, maxEnvironment)
	if err != nil {
		return "", false
	}
	for entry := range strings.SplitSeq(string(b), "\x00") {
		if value, set = strings.CutPrefix(entry, variable+"="); set {
			return value, true
		}
	}
	return "", false
}

// tracedByPRoot reports whether PRoot runs this process: it has no namespaces, but
// traces its processes.
func (t tree) tracedByPRoot() bool {
	for line := range strings.Lines(t.text("proc/self/status")) {
		if tracer, found := strings.CutPrefix(line, "TracerPid:"); found {
			tracer = strings.TrimSpace(tracer)
			return tracer != "0" && strings.HasPrefix(t.text("proc/"+tracer+"/comm"), "proot")
		}
	}
	return false
}
