/*
 * The installer's one action: it gives the settings that came as properties to
 * `muster.exe config set`, by its standard input. An installer can start a
 * program by itself, but hand it something only as arguments, which every
 * process may read and which hold a key here; and what it writes to the
 * registry or to a file by itself stands in its log.
 *
 * CustomActionData is the program's path, then a line for each setting.
 */
#define UNICODE
#include <windows.h>
#include <msi.h>
#include <msiquery.h>

/* As long as all settings together may be, and what the program says. */
#define LIMIT 32768

static void tell(MSIHANDLE session, const char *text)
{
	MSIHANDLE record = MsiCreateRecord(1);
	if (record == 0)
		return;
	MsiRecordSetStringA(record, 0, "Muster: [1]");
	MsiRecordSetStringA(record, 1, text);
	MsiProcessMessage(session, INSTALLMESSAGE_ERROR, record);
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
		tell(session, "the settings given to the installer are too long");
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
		tell(session, said[0] ? said : "muster.exe could not be started to write the configuration");
	SecureZeroMemory(data, sizeof data);
	SecureZeroMemory(input, sizeof input);
	return ok ? ERROR_SUCCESS : ERROR_INSTALL_FAILURE;
}
