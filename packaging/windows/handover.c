/*
 * What the installer does not do by itself.
 *
 * Configure gives the settings that came as properties to `muster.exe config
 * set`, by its standard input. An installer can start a program by itself, but
 * hand it something only as arguments, which every process may read and which
 * hold a key here; and what it writes to the registry or to a file by itself
 * stands in its log. CustomActionData is the program's path, then a line for
 * each setting.
 *
 * Recover has the service started again after an end with an error, as `muster
 * service install` does. Of the table that is there for it,
 * MsiServiceConfigFailureActions, Microsoft says that it does not work as
 * expected (MsiConfigureServices action).
 */
#define UNICODE
#include <windows.h>
#include <msi.h>
#include <msiquery.h>

/* As long as all settings together may be, and what the program says. */
#define LIMIT 32768

/* tell says something in UTF-8, as the program does, to who installs or to the log. */
static void tell(MSIHANDLE session, INSTALLMESSAGE kind, const char *text)
{
	static WCHAR wide[LIMIT];
	MSIHANDLE record = MsiCreateRecord(1);
	if (record == 0)
		return;
	MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, LIMIT);
	MsiRecordSetStringW(record, 0, L"Muster: [1]");
	MsiRecordSetStringW(record, 1, wide);
	MsiProcessMessage(session, kind, record);
	MsiCloseHandle(record);
}

/* run gives input to `program config set`; said is what it then complains of. */
static BOOL run(WCHAR *program, const char *input, DWORD length, char *said)
{
	SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
	STARTUPINFOW start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
	PROCESS_INFORMATION process;
	HANDLE in, out;
	DWORD n, total = 0, code = 1;
	static WCHAR command[MAX_PATH + 32];

	if (lstrlenW(program) >= MAX_PATH)
		return FALSE;
	lstrcpyW(command, L"\"");
	lstrcatW(command, program);
	lstrcatW(command, L"\" config set");

	if (!CreatePipe(&start.hStdInput, &in, &inherited, LIMIT * 4))
		return FALSE;
	if (!CreatePipe(&out, &start.hStdError, &inherited, 0))
		return FALSE;
	start.hStdOutput = start.hStdError;
	SetHandleInformation(in, HANDLE_FLAG_INHERIT, 0);
	SetHandleInformation(out, HANDLE_FLAG_INHERIT, 0);
	if (!CreateProcessW(program, command, NULL, NULL, TRUE, CREATE_NO_WINDOW, NULL, NULL, &start, &process))
		return FALSE;
	CloseHandle(start.hStdInput);
	CloseHandle(start.hStdError);
	WriteFile(in, input, length, &n, NULL); /* if it does not read, it says why */
	CloseHandle(in);
	while (total < LIMIT - 1 && ReadFile(out, said + total, LIMIT - 1 - total, &n, NULL) && n > 0)
		total += n;
	said[total] = 0;
	CloseHandle(out);
	WaitForSingleObject(process.hProcess, INFINITE);
	GetExitCodeProcess(process.hProcess, &code);
	CloseHandle(process.hThread);
	CloseHandle(process.hProcess);
	return code == 0;
}

__declspec(dllexport) UINT __stdcall Configure(MSIHANDLE session)
{
	static WCHAR data[LIMIT];
	static char input[LIMIT * 3], said[LIMIT]; /* UTF-8 takes up to three bytes for one of UTF-16 */
	DWORD size = LIMIT;
	WCHAR *settings = data;
	int length;
	BOOL ok;

	if (MsiGetPropertyW(session, L"CustomActionData", data, &size) != ERROR_SUCCESS) {
		tell(session, INSTALLMESSAGE_ERROR, "the settings given to the installer are too long");
		return ERROR_INSTALL_FAILURE;
	}
	while (*settings && *settings != L'\n')
		settings++;
	if (*settings)
		*settings++ = 0; /* data is the program now */
	length = WideCharToMultiByte(CP_UTF8, 0, settings, -1, input, sizeof input, NULL, NULL);
	SetLastError(0);
	ok = length > 0 && run(data, input, length - 1, said);
	if (!ok)
		tell(session, INSTALLMESSAGE_ERROR, said[0] ? said : "muster.exe could not be started to write the configuration");
	SecureZeroMemory(data, sizeof data);
	SecureZeroMemory(input, sizeof input);
	return ok ? ERROR_SUCCESS : ERROR_INSTALL_FAILURE;
}

/* The same as in adapters/winservice/options_windows.go, in ms and s. */
static SC_ACTION restarts[] = {{SC_ACTION_RESTART, 10000}, {SC_ACTION_RESTART, 10000}, {SC_ACTION_RESTART, 60000}};
#define RESET (24 * 60 * 60)

__declspec(dllexport) UINT __stdcall Recover(MSIHANDLE session)
{
	SERVICE_FAILURE_ACTIONSW actions = {.dwResetPeriod = RESET, .cActions = sizeof restarts / sizeof *restarts, .lpsaActions = restarts};
	SERVICE_FAILURE_ACTIONS_FLAG errors_too = {TRUE};
	SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
	/* Who has a service restarted needs the right to start it. */
	SC_HANDLE service = manager ? OpenServiceW(manager, L"muster", SERVICE_CHANGE_CONFIG | SERVICE_START) : NULL;
	BOOL ok = service && ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, &actions)
		&& ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &errors_too);

	/* No reason not to install: the service runs all the same. */
	tell(session, INSTALLMESSAGE_INFO, ok ? "the service is started again after an end with an error"
		: "the service manager did not take when to start the service again: use 'sc failure' and 'sc failureflag'");
	if (service)
		CloseServiceHandle(service);
	if (manager)
		CloseServiceHandle(manager);
	return ERROR_SUCCESS;
}
