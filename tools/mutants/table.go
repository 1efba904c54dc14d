package main

import "slices"

// table is every mutant, where it is put and which tests should notice. The
// tests named are few, because each mutant compiles and runs them again; what
// the crash tests of the stores find takes them seconds.
func table() []mutant {
	return slices.Concat(siteAgent(), managerAgent(), relayAgent(), decisions(), stores(), host(), fake(), pacts())
}

// The agent's side of docs/PROTOCOLS.md, "Site enrollment".
func siteAgent() []mutant {
	s := tests("", "./adapters/siteapi")
	return slices.Concat(
		in("adapters/siteapi/wire.go", s,
			swap("rename site_code", `"site_code"`, `"site"`),
			swap("drop a label", `"department"`, `"-"`),
			swap("drop unset tags", `"tags"`, `"tags,omitempty"`),
			swap("tags of another type", `Tags       []string `, `Tags       any `).
				also(`append([]string{}, r.Labels.Tags...)`, `strings.Join(r.Labels.Tags, ",")`),
			swap("take the key of another member", `fields["key"]`, `fields["api_key"]`),
			swap("take a key that is too short", `>= 20`, `>= 8`),
			swap("take a key of another kind", `HasPrefix(key, "cak_")`, `HasPrefix(key, "c")`),
		),
		in("adapters/siteapi/client.go", s,
			swap("site: another path", `JoinPath("api", "enroll")`, `JoinPath("api", "v1", "enroll")`),
			swap("site: another method", `http.MethodPost`, `http.MethodPut`),
			swap("site: another content type", `"Content-Type", "application/json"`, `"Content-Type", "text/json"`),
			swap("take a key on 202", `status == http.StatusOK:`, `status == http.StatusOK || status == http.StatusAccepted:`),
			swap("200 and 201 swapped", `if status == http.StatusCreated {`, `if status == http.StatusOK {`),
			swap("409 taken for 401", `case http.StatusUnauthorized:`, `case http.StatusUnauthorized, http.StatusGone:`).
				also(`return answer(ports.SiteConflict{Detail: detail})`, `return answer(ports.SiteRejected{Detail: detail})`),
			swap("site answer: body limit dropped", "httpanswer.Body(resp, maxBody)\n\t\tif errors.Is", "httpanswer.Body(resp, 2*maxBody)\n\t\tif errors.Is"),
			swap("site: follow a redirect", `c.transport.RoundTrip(req)`, `(&http.Client{Transport: c.transport}).Do(req)`),
			swap("site: ignore Retry-After", `httpanswer.RetryAfter(resp)`, `""`),
			swap("site: ignore the server's clock", `= httpanswer.ServerTime(resp)`, `= time.Time{}`),
			swap("enrollment key in an error", `redact.Secrets(reason, r.EnrollmentKey)`, `reason`),
			swap("server's words with a key in them", `redact.Words(decodeDetail(body), key)`, `decodeDetail(body)`),
			swap("site: a transport may ask twice", `req.GetBody = nil`, `_ = req.GetBody`),
		),
	)
}

// The agent's side of docs/PROTOCOLS.md, "Manager enrollment".
func managerAgent() []mutant {
	s := tests("", "./adapters/managerapi")
	return slices.Concat(
		in("adapters/managerapi/wire.go", s,
			swap("rename machine_id", `"machine_id"`, `"machine_uid"`),
			swap("drop id_like", `"id_like"`, `"-"`),
			swap("csr_pem there without a CSR", `"csr_pem,omitempty"`, `"csr_pem"`),
			swap("rename csr_pem of a renewal", "`json:\"csr_pem\"`", "`json:\"csr\"`"),
			swap("rename polling_token", `o.text("polling_token")`, `o.text("token")`),
			swap("server_key required", `"ca_crt", "server_crt"}`, `"ca_crt", "server_crt", "server_key"}`),
			swap("ca_chain dropped", `[]byte(o.text("ca_chain"))`, `nil`),
		),
		in("adapters/managerapi/client.go", s,
			swap("renewal without the certificate", `c.mtls,`, `c.transport,`),
			swap("poll: token not escaped", `url.PathEscape(token.Reveal())`, `token.Reveal()`),
			swap("polling token in an error", `"asking " + c.host + " for its decision"`, `"asking " + c.host + " for its decision on " + token.Reveal()`),
			swap("crl: another path", `"/pki/crl.pem"`, `"/pki/crl"`),
			swap("a registration's 409 taken for a failure", `ports.IssueKnown{Detail: reply.detail}`, `ports.Unavailable{Reason: reply.detail}`),
			swap("a poll's 404 taken for a failure", `ports.IssueUnknown{}`, `ports.Unavailable{Reason: "404"}`),
			swap("a 429 taken for a failure", `ports.IssueBusy{`, `ports.Unavailable{`),
			swap("a renewal's answer not kept as it came", `ports.NewSecret(reply.body), Renewal`, `ports.NewSecret(strings.TrimSpace(reply.body)), Renewal`),
			swap("a renewal's answer not marked as one", `, Renewal: true}`, `}`),
			swap("/api/v1 twice", `strings.TrimSuffix(strings.TrimRight(u.String(), "/"), version)`, `strings.TrimRight(u.String(), "/")`),
		),
		in("adapters/managerapi/exchange.go", s,
			swap("Idempotency-Key not sent", `req.Header.Set("Idempotency-Key", q.idempotencyKey)`, ``),
			swap("manager: a transport may ask twice", `req.GetBody = nil`, `_ = req.GetBody`),
			swap("manager: ignore Retry-After", `httpanswer.RetryAfter(resp)`, `""`),
			swap("read less of a bundle", `maxBundle      = 16 << 20`, `maxBundle      = 1 << 20`),
			swap("read more of a bundle", `maxBundle      = 16 << 20`, `maxBundle      = 64 << 20`),
			swap("token in a transport's error", `redact.Secrets(reason, q.secret)`, `reason`),
		),
		in("adapters/managerapi/interpret.go", s,
			swap("denied treated as notfound", `return ports.IssueDenied{}`, `return ports.IssueUnknown{}`),
			swap("not_found not known", `case "notfound", "not_found":`, `case "notfound":`),
			swap("approved without a certificate", `if err != nil {
			return unreadable("is approved`, `if err != nil && false {
			return unreadable("is approved`),
		),
	)
}

// The agent's side of docs/PROTOCOLS.md, "Relay".
func relayAgent() []mutant {
	s := tests("", "./adapters/wsrelay")
	return slices.Concat(
		in("adapters/wsrelay/frame.go", s,
			swap("rename uptime_seconds", `"uptime_seconds"`, `"uptime"`),
			swap("not_after left out", `"not_after"`, `"not_after,omitempty"`),
			swap("not_after in local time", `t.UTC().Format`, `t.Format`),
			swap("a frame's type that is not fit for a log", `redact.Name(name)`, `redact.Mark[:0] + name`),
		),
		in("adapters/wsrelay/endpoint.go", s,
			swap("relay: another path", `server.JoinPath("ws", "agent")`, `server.JoinPath("ws")`),
		),
		in("adapters/wsrelay/dial.go", s,
			swap("key in the header, not the query", `if d.authHeader {`, `if !d.authHeader {`),
			swap("key in both", `u := *d.endpoint`, `query.Set("api_key", hello.Key.Reveal())
	u := *d.endpoint`),
			swap("rename machine_uid of the handshake", `query.Set("machine_uid"`, `query.Set("machine_id"`),
			swap("403 taken for a failure", ` || status == http.StatusForbidden`, ``),
			swap("relay: ignore Retry-After", `httpanswer.RetryAfter(resp)`, `""`),
			swap("relay: a 429 asks for nothing", `status == http.StatusTooManyRequests || `, ``),
			swap("refusal's code ignored", `		return code
`, `		return ""
`),
			swap("frame limit dropped", `ws.SetReadLimit(maxFrame)`, `ws.SetReadLimit(-1)`),
		),
		in("adapters/wsrelay/failure.go", s,
			swap("key in the relay's errors", `redact.Secrets(reason, f.key)`, `redact.Secrets(reason)`),
		),
		in("adapters/internal/redact/redact.go", tests("", "./adapters/internal/redact"),
			swap("a part of a secret stays", `least := min(len(form), fragment)`, `least := len(form)`),
			swap("a part of 8 characters stays", `fragment = 8`, `fragment = 9`),
			swap("a secret in capitals stays", `lower(a[n]) == lower(b[n])`, `a[n] == b[n]`),
			swap("PEM stays", `text = withoutPEM(text)`, `text = text + ""`),
			swap("what looks like a key stays", `likelyKeys(Secrets(words, secrets...))`, `Secrets(words, secrets...)`),
			swap("control characters stay", `case unicode.IsPrint(r):`, `case true:`),
		),
		in("adapters/internal/httpanswer/httpanswer.go", tests("", "./adapters/internal/httpanswer"),
			swap("a body without a limit", `case n > limit:`, `case n > 2*limit:`),
			swap("a body read to its end, if it has one", `io.LimitReader(resp.Body, limit+1)`, `resp.Body`),
			swap("Retry-After whatever the status", `	return ""
}

// Answered`, `	return resp.Header.Get("Retry-After")
}

// Answered`),
			swap("a redirect's whole address", `to.Scheme + "://" + to.Host +`, `to.String() +`),
		),
		in("adapters/statussocket/wire.go", tests("", "./adapters/statussocket"),
			swap("rename next_attempt of the status", "NextAttempt *time.Time `json:\"next_attempt\"`\n\t\tLastError   *string    `json:\"last_error\"`\n\t}\n\tmanagerJSON", "NextAttempt *time.Time `json:\"next\"`\n\t\tLastError   *string    `json:\"last_error\"`\n\t}\n\tmanagerJSON"),
			swap("unknown status value left out", `"listener"`, `"listener,omitzero"`),
		),
		in("adapters/statussocket/questions.go", tests("Renewal", "./adapters/statussocket"),
			swap("another number for a renewal that waits", `ports.RenewPending: 2`, `ports.RenewPending: 3`),
		),
	)
}

// What the agent makes of it.
func decisions() []mutant {
	m := tests("[oO]therManager|CouldNotBeStored|CannotBeStoredAtFirst|AManagerThatIsDown", "./app")
	return slices.Concat(
		in("domain/enrollment/site.go", tests("", "./domain/enrollment"),
			swap("a conflict taken for a transient failure", `Class: ports.Operator, State: ports.SiteStateConflict`, `Class: ports.Transient, State: ports.SiteStateConflict`),
		),
		in("domain/credential/credential.go", tests("", "./domain/credential"),
			swap("key sent to another server", `CanonicalURL(c.ServerURL) != CanonicalURL(serverURL)`, `c.ServerURL == ""`),
			swap("enroll over a record that cannot be read", `return BlockedUnreadable`, `return Enroll`),
		),
		in("domain/retry/retryafter.go", tests("", "./domain/retry"),
			swap("Retry-After undercut", `return max(wait, between(`, `return min(wait, between(`),
		),
		in("app/internal/issue/keeper.go", m,
			swap("polling token sent to another manager", `credential.CanonicalManagerURL(pending.Issuer) == credential.CanonicalManagerURL(k.url())`, `credential.CanonicalManagerURL(pending.Issuer) != ""`),
			swap("another manager's polling token lost before there is one", `if k.elsewhere && !k.Pending() {`, `if false {`),
		),
		in("app/internal/issue/request.go", m,
			swap("no room made for a bundle", `k.Journal.ReserveBundle(ctx)`, `error(nil)`),
			swap("Idempotency-Key not kept", `if !submitted {
		k.pending.Phase`, `if true {
		k.pending.Phase`),
		),
		in("app/internal/issue/received.go", m,
			swap("a bundle not kept before it is looked at", `if kept {
		k.keep(`, `if false {
		k.keep(`),
		),
		in("app/internal/issue/renew.go", m,
			swap("a renewal not kept before it is looked at", `	k.keep(ctx, bundle)
	decision`, `	decision`),
		),
		in("app/internal/site/keeper.go", tests("WithoutRoomForAKey|CannotBeStoredIsUsed", "./app"),
			swap("no room made for a key", `k.Credentials.Reserve(ctx)`, `error(nil)`),
			swap("a key that cannot be stored is dropped", `if !k.storeLater(ctx, result.Credential) {`, `if false {`),
		),
		in("app/supervise.go", tests("Supervis|Watchdog|Hang|FirstStart", "./app"),
			swap("watchdog not fed", `a.notify(a.deps.Supervisor.Alive())`, ``),
			swap("watchdog fed while a part hangs", `case hung == "":`, `case true:`),
		),
		in("ports/secret.go", tests("", "./ports"),
			swap("secrets in logs", `return slog.StringValue(redacted)`, `return slog.StringValue(s.Reveal())`),
			swap("secrets in errors", `f.Write([]byte(redacted))`, `f.Write([]byte(s.Reveal()))`),
			swap("secrets in JSON", `return nil, ErrSecretEncoding`, `return []byte(s.Reveal()), nil`),
		),
	)
}

// What is on disk.
func stores() []mutant {
	s := tests("Golden|Phase|Contracts|Modes|Syncs|NewerFormat|Reserve|ReadBack|Erase|EveryByte|Exposed|RemovalIs|RemoveEnrollment|BoundTo|RoomIsUsed", "./adapters/statedir")
	c := tests("Contract|Troubles|TestModes|TestErase|NoRoom|OnDisk|Crash", "./adapters/certfiles")
	d := tests("", "./adapters/internal/durable")
	return slices.Concat(
		in("adapters/internal/durable/replace.go", d,
			swap("file not synced", `err = f.Do(OpSync, name, file.Sync)`, `err = nil`),
			swap("directory not synced", `if err := f.Sync(); err != nil {
		f.putBack`, `if err := error(nil); err != nil {
		f.putBack`),
			swap("no read-back", `if err == nil && c.ReadBack {`, `if false {`),
			swap("files for everyone to read", `os.O_RDWR|os.O_CREATE|os.O_EXCL, c.Mode)`, `os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)`),
			swap("written before the mode is set", `os.O_RDWR|os.O_CREATE|os.O_EXCL, c.Mode)`, `os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)`).
				also(`return file.Close()
}

// create`, `return errors.Join(file.Chmod(c.Mode), file.Close())
}

// create`),
			swap("placeholder not written", `err := f.Stage(name, Content{Data: data, Reserved: reserved})`, `err := error(nil)`),
			swap("a failed replacement left behind", `if f.Remove(tmp) != nil {`, `if false {`),
			swap("a failed replacement not undone", `		f.putBack(name, c)
`, ``),
			swap("replaced before it is written", `	err := f.Stage(name, c)
	if err == nil && c.Check`, `	_ = f.Remove(name)
	err := f.Stage(name, c)
	if err == nil && c.Check`),
			swap("taken before it is judged", `err = c.Check(f.At(name + NewSuffix))`, `_ = c.Check(f.At(name + NewSuffix))`),
		),
		in("adapters/internal/durable/setaside.go", d,
			swap("what is damaged is removed", `err = f.Rename(name, to)`, `err = f.Remove(name)`),
			swap("a new name not synced", `return to, f.Sync()`, `return to, nil`),
			swap("the newest copy goes first", `copies = copies[1:]`, `copies = copies[:len(copies)-1]`).
				also(`_ = f.RemoveAll(copies[0])`, `_ = f.RemoveAll(copies[len(copies)-1])`),
		),
		in("adapters/internal/durable/disk.go", d,
			swap("a directory's name not synced", `if err := d.sync(parent, dir); err != nil {`, `if err := error(nil); err != nil {`),
		),
		in("adapters/statedir/erase.go", s,
			swap("unenrolled but a copy set aside stays", `original, _, _ := strings.Cut(name, durable.DamagedInfix)`, `original := name`),
			swap("erased but not synced", `if err := f.Sync(); err != nil {
		return notErased(f.Path(), err)`, `if err := error(nil); err != nil {
		return notErased(f.Path(), err)`),
			swap("erased but not gone", `return f.eraseNames(r.name, r.name+durable.NewSuffix)`, `return f.eraseNames(r.name + durable.NewSuffix)`),
		),
		in("adapters/statedir/recordfile.go", s,
			swap("a newer format overwritten", `if e.Format > r.format {`, `if false {`),
			swap("a file that others may read is used", `if err == nil && r.private {`, `if false {`),
			swap("room that was used taken for room that is there", `	r.reserved = false
	if err := f.Replace(`, `	if err := f.Replace(`),
			swap("a newer record taken for one that is protected", ` && r.purpose != ""`, ``),
		),
		in("adapters/statedir/envelope.go", s,
			swap("checksum not looked at", `e.SHA256 != e.sum()`, `e.SHA256 == ""`),
		),
		in("adapters/statedir/pending.go", s,
			swap("pending.json without a format version", `name: pendingFile, format: pendingFormat,`, `name: pendingFile, format: pendingFormat, bare: true,`),
			swap("phase of version 1's record not read", `if format == 1 {`, `if false {`),
			swap("a request of version 1 made with another Idempotency-Key", `return ports.PhaseSubmitted`, `return ports.PhaseIdle`),
			swap("phase guessed in a record that says it", `if format == 1 {`, `if j.Phase == "" {`),
			swap("rename polling_token on disk", `"polling_token,omitempty"`, `"token,omitempty"`),
			swap("polls forgotten", `Polls:          j.Polls,`, ``),
			swap("pending.json not read back", `private: true, readBack: true`, `private: true`),
		),
		in("adapters/statedir/bundle.go", s,
			swap("rename body on disk", `"body,omitempty"`, `"raw,omitempty"`),
			swap("a renewal on disk taken for a poll's answer", `Renewal:      b.Renewal,`, ``),
			swap("bundle.json not read back", `private: true, readBack: true`, `private: true`),
		),
		in("adapters/statedir/protect.go", s,
			swap("a plain record taken for a protected one", ` && e.Format != r.format`, ``),
		),
		in("adapters/statedir/credential.go", s,
			swap("a key bound to the directory's machine, not its own", `	r.machineUID = func(c ports.Credential) string { return c.MachineUID }
`, ``),
			swap("rename server_url on disk", `"server_url"`, `"server"`),
		),
		in("app/internal/certs/install.go", tests("Damaged", "./app"),
			swap("damaged files overwritten", `if err := k.makeWay(ctx, set); err != nil {`, `if err := error(nil); err != nil {`),
			swap("damaged files put back", `		if err := k.Files.KeepPrevious(ctx); err != nil {
			return err
		}
`, `		if err := k.Files.KeepPrevious(ctx); err != nil {
			return err
		}
		if err := k.makeWay(ctx, set); err != nil {
			return err
		}
`).also(`	if err := k.makeWay(ctx, set); err != nil {
		return err
	}
	if !received`, `	if !received`),
		),
		in("adapters/certfiles/apply.go", c,
			swap("certificates' directory not synced", `if err := folders[path].Sync(); err != nil {`, `if err := error(nil); err != nil {`),
		),
		in("adapters/certfiles/paths.go", c,
			swap("private key for everyone to read", `keyMode    fs.FileMode = 0o600`, `keyMode    fs.FileMode = 0o644`),
			swap("certificates for their owner only", `publicMode fs.FileMode = 0o644`, `publicMode fs.FileMode = 0o600`),
		),
		in("adapters/certfiles/files.go", c,
			swap("an empty CRL replaces the present one", `if len(set.CRL) > 0 {`, `if true {`),
		),
	)
}

// The machine that the agent runs on.
func host() []mutant {
	return slices.Concat(
		in("adapters/processlock/lock_unix.go", tests("Contract|SharedLock", "./adapters/processlock"),
			swap("lock not exclusive", `how = syscall.LOCK_EX`, `how = syscall.LOCK_SH`),
		),
		in("adapters/systemd/notifier.go", tests("", "./adapters/systemd"),
			swap("watchdog fed too late", `feeds = 2`, `feeds = 1`),
			swap("ready not said", `"READY=1"`, `"STATUS=ready"`),
		),
		in("adapters/transport/trust.go", tests("Trust|TLSVersion|ClientCertificate", "./adapters/transport"),
			swap("TLS 1.1 accepted", `MinVersion: tls.VersionTLS12, RootCAs: t.roots, Get`, `MinVersion: tls.VersionTLS11, RootCAs: t.roots, Get`),
			swap("pinned server's name not looked at", `DNSName: host, CurrentTime`, `CurrentTime`),
		),
	)
}

// The fake server: one that forgives hides bugs.
func fake() []mutant {
	s := tests("", "./fakeserver")
	return slices.Concat(
		in("fakeserver/strict.go", s,
			swap("fake: accept an unknown member", `len(left) > 0`, `len(left) > 1`),
			swap("fake: accept a missing member", `o.fail(name, "is missing")`, ``),
			swap("fake: accept a wrong type", `!bytes.ContainsAny(value[:1], first)`, `!bytes.ContainsAny(value[:1], first+"0123456789")`).
				also(`o.fail(name, "is not a string")`, ``),
			swap("fake: accept a member twice", `twice := members[name]; twice`, `twice := members[name]; twice && name != "hostname"`),
			swap("fake: accept what follows the object", `err != io.EOF`, `err != io.EOF && err != nil`),
		),
		in("fakeserver/answer.go", s,
			swap("fake: body limit dropped", `maxBody = 64 << 10`, `maxBody = 64 << 20`),
			swap("fake: any content type", `mediaType != "application/json"`, `mediaType == ""`),
			swap("fake: no Retry-After", `w.Header().Set("Retry-After"`, `w.Header().Set("X-Retry-After"`),
			swap("fake: no Date", `w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))`, `w.Header()["Date"] = nil`),
		),
		in("fakeserver/site.go", s,
			swap("fake: a key on 202", `map[string]string{"state": "collision_pending"}`, `map[string]string{"state": "collision_pending", "key": mint(apiKeyPrefix)}`),
			swap("fake: 201 for a known machine", `status = http.StatusOK`, `status = http.StatusCreated`),
			swap("fake: rename ENROLL_SITE_CONFLICT", `"ENROLL_SITE_CONFLICT"`, `"SITE_CONFLICT"`),
			swap("fake: machine_uid of any length", "`^muid_[0-9a-f]{64}$`", "`^muid_[0-9a-f]+$`"),
			swap("fake: rename key", `"key": key, "state"`, `"api_key": key, "state"`),
			swap("fake: the former key stays valid", `hashKey(m.key.version+1, key)`, `orDefault(m.key, hashKey(1, key))`),
		),
		in("fakeserver/manager.go", s,
			swap("fake: a bundle retrieved twice", `e.state, e.reapproved, e.token = EnrollmentEnrolled, false, ""`, `e.reapproved, e.token = false, ""`),
			swap("fake: Idempotency-Key ignored", `e.idempotencyKey == idempotencyKey && e.answers()`, `e.idempotencyKey == "" && e.answers()`),
			swap("fake: a known host registers again", `!s.AllowReRegister && !older.reapproved`, `false`),
			swap("fake: rename polling_token", `map[string]string{"polling_token": token}`, `map[string]string{"token": token}`),
			swap("fake: 200 for a registration", `writeJSON(w, http.StatusAccepted, map`, `writeJSON(w, http.StatusOK, map`),
		),
		in("fakeserver/issue.go", s,
			swap("fake: renewal without a certificate", `r.TLS == nil || len(r.TLS.VerifiedChains) == 0`, `r.TLS == nil`),
			swap("fake: renewal with a revoked certificate", `case !c.revokedAt.IsZero():`, `case c == nil:`),
			swap("fake: a server_key in spite of a CSR", `if e.csr != nil && !s.IgnoreCSR {`, `if false {`),
			swap("fake: drop ca_chain", `"ca_chain"`, `"-"`),
			swap("fake: CRL of another type", `"X509 CRL"`, `"CRL"`),
		),
		in("fakeserver/server.go", s,
			swap("fake: another method for a poll", `r.Get("/enroll/status/{token}"`, `r.HandleFunc("/enroll/status/{token}"`),
			swap("fake: another path for the CRL", `"/pki/crl.pem"`, `"/pki/crl"`),
		),
		in("fakeserver/relay.go", s,
			swap("fake: a revoked key connects", `case m.revoked:`, `case false:`),
			swap("fake: UNKNOWN_AGENT not said", `code: "UNKNOWN_AGENT"`, `code: ""`),
			swap("fake: status of another machine", `status.MachineUID != x.MachineUID`, `status.MachineUID == ""`),
			swap("fake: frame limit dropped", `maxFrame = 64 << 10`, `maxFrame = 64 << 20`),
			swap("fake: certificate without a date", `"valid":          true`, `"valid":          false`),
		),
		in("fakeserver/history.go", s,
			swap("fake: secrets in its history", `"enrollment_key": true,`, ``).
				also(`	case string:
		return redact(v)
`, ``),
		),
	)
}

// What is left to pact alone, on either side.
func pacts() []mutant {
	return slices.Concat(
		in("adapters/siteapi/wire.go", pact("^TestConsumer$"),
			swap("pact: rename machine_uid", `"machine_uid"`, `"machine_id"`),
		),
		in("adapters/managerapi/client.go", pact("^TestConsumer$"),
			swap("pact: another path for a renewal", `"/enroll/renew"`, `"/renew"`),
		),
		in("fakeserver/issue.go", pact("^TestProvider$"),
			swap("pact: the fake drops server_crt", `"server_crt"`, `"cert"`),
			swap("pact: the fake's CRL of another type", `"X509 CRL"`, `"CRL"`),
		),
	)
}
