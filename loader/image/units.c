/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes and times as people read them. Any thread, no state. */
#include "loader/image/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

const char *units_bytes(uint64_t bytes, char out[UNITS_TEXT_MAX])
{
	static const char *const name[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes / 1024;
	unsigned i = 0;

	if (bytes < 1024) {
		snprintf(out, UNITS_TEXT_MAX, "%u B", (unsigned)bytes);
		return out;
	}
	while (v >= 1023.95 && i < 5) { /* which would be printed as 1024.0 */
		v /= 1024;
		i++;
	}
	snprintf(out, UNITS_TEXT_MAX, "%.1f %s", v, name[i]);
	return out;
}

const char *units_seconds(uint64_t seconds, char out[UNITS_TEXT_MAX])
{
	unsigned s = (unsigned)(seconds % 60), m = (unsigned)(seconds / 60 % 60);
	uint64_t h = seconds / 3600;

	if (h > 9999)
		snprintf(out, UNITS_TEXT_MAX, "days");
	else if (h)
		snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 ":%02u:%02u", h, m, s);
	else
		snprintf(out, UNITS_TEXT_MAX, "%u:%02u", m, s);
	return out;
}

const char *units_date(uint64_t seconds, char out[UNITS_TEXT_MAX])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(out, UNITS_TEXT_MAX, "%Y-%m-%d %H:%M", &tm))
		snprintf(out, UNITS_TEXT_MAX, "?");
	return out;
}
