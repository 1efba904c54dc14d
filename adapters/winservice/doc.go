// Package winservice makes the agent a Windows service. [Manager] registers it
// with the service control manager, [Run] runs it in the process that the latter
// starts, and [Events] and [LogFile] take the log of that process, which has no
// standard error.
package winservice
