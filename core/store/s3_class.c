/* SPDX-License-Identifier: Apache-2.0 */
/* Storage classes: from S3's words to states. */
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "store/s3_class.h"

#define AUTO		"INTELLIGENT_TIERING"

int
s3_class_ok(const char *name)
{
	size_t i;

	for (i = 0; name[i] != '\0'; i++)
		if (name[i] <= ' ' || name[i] > '~' ||
		    i + 1 == STORE_CLASS_SIZE)
			return 0;
	return i > 0;
}

static int
is_one_of(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(name, *list) == 0)
			return 1;
	return 0;
}

int
store_class_is_cold(const char *class_name)
{
	static const char *const cold[] = { "GLACIER", "DEEP_ARCHIVE", NULL };

	return is_one_of(class_name, cold);
}

int
store_class_is_instant(const char *class_name)
{
	static const char *const instant[] = { "STANDARD", "STANDARD_IA",
	    "ONEZONE_IA", "REDUCED_REDUNDANCY", "GLACIER_IR",
	    "EXPRESS_ONEZONE", NULL };

	return is_one_of(class_name, instant);
}

int
store_class_is_known(const char *class_name)
{
	return store_class_is_instant(class_name) ||
	    store_class_is_cold(class_name) || strcmp(class_name, AUTO) == 0;
}

/* 0 to 11, or -1. */
static int
month_of(const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int i;

	for (i = 0; i < 12; i++)
		if (strncmp(text, months + 3 * i, 3) == 0)
			return i;
	return -1;
}

/* "Fri, 21 Dec 2012 00:00:00 GMT", what RFC 9110 calls IMF-fixdate; 0 for
 * anything else. */
static time_t
date_of(const char *text)
{
	char month[4], iso[TIMEFMT_SIZE];
	unsigned day, year, h, m, s;
	struct timespec t;
	int end = 0;

	if (strncmp(text, "Mon", 3) != 0 && strncmp(text, "Tue", 3) != 0 &&
	    strncmp(text, "Wed", 3) != 0 && strncmp(text, "Thu", 3) != 0 &&
	    strncmp(text, "Fri", 3) != 0 && strncmp(text, "Sat", 3) != 0 &&
	    strncmp(text, "Sun", 3) != 0)
		return 0;
	if (sscanf(text + 3, ", %2u %3s %4u %2u:%2u:%2u GMT%n", &day, month,
	    &year, &h, &m, &s, &end) != 6 || end == 0 || month_of(month) < 0)
		return 0;
	snprintf(iso, sizeof(iso), "%04u-%02d-%02uT%02u:%02u:%02uZ", year,
	    month_of(month) + 1, day, h, m, s);
	return timefmt_parse(iso, &t) == 0 ? t.tv_sec : 0;
}

/* Behind NAME=", or NULL. */
static const char *
value_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	size_t len = strlen(name);

	if (at == NULL || at[len] != '=' || at[len + 1] != '"')
		return NULL;
	return at + len + 2;
}

enum s3_restore
s3_class_restore(const char *value, time_t *expires)
{
	const char *ongoing = value_of(value, "ongoing-request");
	const char *date = value_of(value, "expiry-date");

	*expires = 0;
	if (ongoing == NULL)
		return S3_RESTORE_NONE;
	if (strncmp(ongoing, "true\"", 5) == 0)
		return S3_RESTORE_RUNS;
	if (strncmp(ongoing, "false\"", 6) != 0)
		return S3_RESTORE_NONE;
	/* Some servers say "false" of all that is there. */
	if (date != NULL)
		*expires = date_of(date);
	return *expires != 0 ? S3_RESTORE_DONE : S3_RESTORE_NONE;
}

static void
name_set(const char *class_name, struct store_stat *out)
{
	size_t i;

	snprintf(out->class_name, sizeof(out->class_name), "%s",
	    class_name[0] != '\0' ? class_name : "STANDARD");
	for (i = 0; out->class_name[i] != '\0'; i++)
		if (out->class_name[i] <= ' ' || out->class_name[i] > '~')
			out->class_name[i] = '?';
}

/* An object that lies in an archive, as far as its copy is. */
static void
archived_set(enum s3_restore restore, time_t expires, struct store_stat *out)
{
	static const enum store_state state[] = {
		[S3_RESTORE_NONE] = STORE_COLD,
		[S3_RESTORE_RUNS] = STORE_THAWING,
		[S3_RESTORE_DONE] = STORE_THAWED,
	};

	out->state = state[restore];
	out->expires = restore == S3_RESTORE_DONE ? expires : 0;
}

void
s3_class_of_head(const char *class_name, const char *restore,
    const char *archive, struct store_stat *out)
{
	time_t expires;
	enum s3_restore r = s3_class_restore(restore, &expires);

	name_set(class_name, out);
	out->state = STORE_HOT;
	out->state_known = 1;
	out->expires = 0;
	/* What INTELLIGENT_TIERING has thawed is hot and not archived. */
	if (store_class_is_cold(out->class_name) || archive[0] != '\0' ||
	    (r != S3_RESTORE_NONE && strcmp(out->class_name, AUTO) != 0))
		archived_set(r, expires, out);
}

void
s3_class_of_list(const char *class_name, enum s3_restore restore,
    time_t expires, int known, struct store_stat *out)
{
	name_set(class_name, out);
	out->state = STORE_HOT;
	out->state_known = 1;
	out->expires = 0;
	if (strcmp(out->class_name, AUTO) == 0) {
		/* Whether it was archived is told by a HEAD only. */
		out->state_known = restore == S3_RESTORE_RUNS;
		if (restore == S3_RESTORE_RUNS)
			out->state = STORE_THAWING;
	} else if (store_class_is_cold(out->class_name) ||
	    restore != S3_RESTORE_NONE) {
		archived_set(restore, expires, out);
		out->state_known = known || restore != S3_RESTORE_NONE;
	}
}
