// Package winservice makes the agent a Windows service: [Manager] registers it
// with the service control manager, [Run] is the process that the latter
// starts, and [Events] and [LogFile] are where that process, which has no
// standard error, leaves what it has to say.
package winservice
