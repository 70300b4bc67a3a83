/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks the host's user database who started us. Runs on the main thread before any vCPU does. Knows
 * nothing of the guest but what a user may be called there.
 */
#include "vmm/login.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define NOBODY     ((uid_t)65534)
#define SYSTEM_MAX ((uid_t)99) /* ids that Debian, Fedora and Alpine give out once for all */
#define NAMELESS   "skiff"

void login_fit_name(const char *name, char fit[LOGIN_NAME_SIZE])
{
	const char *slash = strrchr(name, '\\'), *end;
	size_t n = 0;

	if (slash)
		name = slash + 1;
	end = strchrnul(name, '@');
	for (; name < end && n < LOGIN_NAME_SIZE - 1; name++) {
		unsigned char c = (unsigned char)*name;

		if (c == '.' || c == ' ')
			c = '_';
		if (!isascii(c) || (!isalnum(c) && c != '_' && c != '-'))
			continue;
		if (n == 0 && (isdigit(c) || c == '-'))
			fit[n++] = '_';
		fit[n++] = (char)tolower(c);
	}
	fit[n] = '\0';
	/* Of letters that we left out, only what stood between them may remain. */
	if (strspn(fit, "_-") == n)
		memcpy(fit, NAMELESS, sizeof(NAMELESS));
}

void login_find(uid_t uid, const char *sudo_user, struct login *l)
{
	const struct passwd *pw = NULL;

	*l = (struct login){.name = NAMELESS};
	if (uid == 0 && sudo_user)
		pw = getpwnam(sudo_user);
	if (!pw)
		pw = getpwuid(uid);
	if (!pw)
		return;
	if (pw->pw_uid == 0)
		memcpy(l->name, "root", sizeof("root"));
	else if (pw->pw_uid > SYSTEM_MAX && pw->pw_uid != NOBODY)
		login_fit_name(pw->pw_name, l->name);
	/* A path that is too long, or none, is no home. */
	if (pw->pw_dir[0] == '/' && strlen(pw->pw_dir) < sizeof(l->home))
		snprintf(l->home, sizeof(l->home), "%s", pw->pw_dir);
}
