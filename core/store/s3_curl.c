/* SPDX-License-Identifier: Apache-2.0 */
/* See store/s3_curl.h. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>

/* The functions themselves, not the macros that check their arguments. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_curl.h"

#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt

/* The name of its ABI, the same since 2006. */
#define LIBRARY	"libcurl.so.4"

/* X(type, name, parameters, arguments) */
#define FUNCTIONS(X) \
	X(CURL *, curl_easy_init, (void), ()) \
	X(const char *, curl_easy_strerror, (CURLcode code), (code)) \
	X(time_t, curl_getdate, (const char *text, const time_t *unused), \
	    (text, unused)) \
	X(CURLcode, curl_global_init, (long flags), (flags)) \
	X(CURLMcode, curl_multi_add_handle, (CURLM *m, CURL *h), (m, h)) \
	X(CURLMcode, curl_multi_cleanup, (CURLM *m), (m)) \
	X(CURLMcode, curl_multi_fdset, (CURLM *m, fd_set *in, fd_set *out, \
	    fd_set *except, int *max), (m, in, out, except, max)) \
	X(CURLMsg *, curl_multi_info_read, (CURLM *m, int *left), (m, left)) \
	X(CURLM *, curl_multi_init, (void), ()) \
	X(CURLMcode, curl_multi_perform, (CURLM *m, int *running), \
	    (m, running)) \
	X(CURLMcode, curl_multi_poll, (CURLM *m, struct curl_waitfd *extra, \
	    unsigned n, int ms, int *ready), (m, extra, n, ms, ready)) \
	X(CURLMcode, curl_multi_remove_handle, (CURLM *m, CURL *h), (m, h)) \
	X(struct curl_slist *, curl_slist_append, (struct curl_slist *list, \
	    const char *line), (list, line))

/* The same of those that return nothing. */
#define PROCEDURES(X) \
	X(void, curl_easy_cleanup, (CURL *h), (h)) \
	X(void, curl_easy_reset, (CURL *h), (h)) \
	X(void, curl_global_cleanup, (void), ()) \
	X(void, curl_slist_free_all, (struct curl_slist *list), (list))

/* Those with an argument whose type the option tells. */
#define OPTIONS(X) \
	X(CURLcode, curl_easy_getinfo, (CURL *, CURLINFO, ...), ()) \
	X(CURLcode, curl_easy_setopt, (CURL *, CURLoption, ...), ()) \
	X(CURLMcode, curl_multi_setopt, (CURLM *, CURLMoption, ...), ())

#define ALL(X) FUNCTIONS(X) PROCEDURES(X) OPTIONS(X)

static struct {
#define MEMBER(type, name, params, args) type (*name) params;
	ALL(MEMBER)
} lib;

static const struct {
	const char *name;
	void *at;		/* the member of lib */
} wanted[] = {
#define WANTED(type, name, params, args) { #name, &lib.name },
	ALL(WANTED)
};

static int load_result;

static void
load(void)
{
	void *handle = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
	size_t i;

	for (i = 0; handle != NULL && i < sizeof(wanted) / sizeof(*wanted);
	    i++) {
		void *found = dlsym(handle, wanted[i].name);

		if (found == NULL)
			break;
		*(void **)wanted[i].at = found;
	}
	if (handle != NULL && i == sizeof(wanted) / sizeof(*wanted))
		return;
	load_result = -ELIBACC;
	log_err(-ELIBACC, "S3 is reached by %s, which cannot be loaded: %s; install "
	    "it (Debian: libcurl4)", LIBRARY, dlerror());
}

int
s3_curl_load(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load);
	return load_result;
}

#define FUNCTION(type, name, params, args) \
	type name params { return lib.name args; }
FUNCTIONS(FUNCTION)

#define PROCEDURE(type, name, params, args) \
	void name params { lib.name args; }
PROCEDURES(PROCEDURE)

/* An option's argument is a long, a curl_off_t or a pointer (to a function as
 * well: POSIX has one size for both), and its number tells which; see CURLOPTTYPE_LONG and those after it. */
#define HAND_ON(function, handle, option) do { \
	va_list ap; \
	va_start(ap, option); \
	if ((option) >= CURLOPTTYPE_BLOB) \
		result = function(handle, option, va_arg(ap, void *)); \
	else if ((option) >= CURLOPTTYPE_OFF_T) \
		result = function(handle, option, va_arg(ap, curl_off_t)); \
	else if ((option) >= CURLOPTTYPE_OBJECTPOINT) \
		result = function(handle, option, va_arg(ap, void *)); \
	else \
		result = function(handle, option, va_arg(ap, long)); \
	va_end(ap); \
} while (0)

CURLcode
curl_easy_setopt(CURL *h, CURLoption option, ...)
{
	CURLcode result;

	HAND_ON(lib.curl_easy_setopt, h, option);
	return result;
}

CURLMcode
curl_multi_setopt(CURLM *m, CURLMoption option, ...)
{
	CURLMcode result;

	HAND_ON(lib.curl_multi_setopt, m, option);
	return result;
}

/* What it tells goes to where a pointer points, whatever the type. */
CURLcode
curl_easy_getinfo(CURL *h, CURLINFO info, ...)
{
	CURLcode result;
	va_list ap;

	va_start(ap, info);
	result = lib.curl_easy_getinfo(h, info, va_arg(ap, void *));
	va_end(ap);
	return result;
}
