/* SPDX-License-Identifier: Apache-2.0 */
/* Options that all commands take, and opening what they name. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "tools/tool.h"

#define OWN_MAX 48

enum { O_PASSWORD_FILE = 1000, O_PASSWORD_COMMAND, O_CACHE_DIR, O_CACHE_SIZE,
    O_NO_CACHE, O_REGION, O_ENDPOINT, O_PATH_STYLE, O_SSE, O_META_CLASS,
    O_BUCKET_OWNER, O_REQUESTER_PAYS, O_TIMEOUT, O_PRICES, O_JSON,
    O_VERSION };

static const struct option common[] = {
	{ "repo", required_argument, NULL, 'r' },
	{ "profile", required_argument, NULL, 'p' },
	{ "password-file", required_argument, NULL, O_PASSWORD_FILE },
	{ "password-command", required_argument, NULL, O_PASSWORD_COMMAND },
	{ "cache-dir", required_argument, NULL, O_CACHE_DIR },
	{ "cache-size", required_argument, NULL, O_CACHE_SIZE },
	{ "no-cache", no_argument, NULL, O_NO_CACHE },
	{ "region", required_argument, NULL, O_REGION },
	{ "endpoint", required_argument, NULL, O_ENDPOINT },
	{ "path-style", no_argument, NULL, O_PATH_STYLE },
	{ "sse", required_argument, NULL, O_SSE },
	{ "meta-class", required_argument, NULL, O_META_CLASS },
	{ "bucket-owner", required_argument, NULL, O_BUCKET_OWNER },
	{ "requester-pays", no_argument, NULL, O_REQUESTER_PAYS },
	{ "timeout", required_argument, NULL, O_TIMEOUT },
	{ "prices", required_argument, NULL, O_PRICES },
	{ "json", no_argument, NULL, O_JSON },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, O_VERSION },
};
#define COMMON (sizeof(common) / sizeof(common[0]))

int
tool_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGTP";
	const char *u;
	char *end;
	double v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtod(text, &end);
	if (errno != 0 || end == text)
		return -EINVAL;
	if (*end != '\0' && *end != 'B') {
		u = strchr(units, *end & ~0x20);
		if (u == NULL || *u == '\0')
			return -EINVAL;
		v *= (double)(1ull << (10 * (u - units + 1)));
		end++;
		if (*end == 'i')
			end++;
	}
	if (*end == 'B')
		end++;
	if (*end != '\0' || !(v >= 0) || v >= 9.2e18)
		return -EINVAL;
	*bytes = (uint64_t)v;
	return 0;
}

int
tool_parse_uint(const char *text, uint64_t max, uint64_t *value)
{
	unsigned long long v;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || v > max)
		return -EINVAL;
	*value = v;
	return 0;
}

static int
bad_value(const char *name, const char *value, const char *want)
{
	return log_plain(-EINVAL, "--%s '%s': %s", name, value, want);
}

/* A flag is on without a value, as on the command line; a profile says. */
static int
flag_value(const char *name, const char *value, int *out)
{
	static const char *const on[] = { "yes", "true", "on", "1", "" };
	static const char *const off[] = { "no", "false", "off", "0" };
	size_t i;

	*out = 1;
	if (value == NULL)
		return 1;
	for (i = 0; i < sizeof(on) / sizeof(on[0]); i++)
		if (strcmp(value, on[i]) == 0)
			return 1;
	*out = 0;
	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		if (strcmp(value, off[i]) == 0)
			return 1;
	return bad_value(name, value, "want yes or no");
}

int
tool_set(struct tool *t, const char *name, const char *value)
{
	uint64_t v;
	int flag, ret;

	if (strcmp(name, "repo") == 0) {
		t->conf.url = value;
	} else if (strcmp(name, "password-file") == 0) {
		t->password.file = value;
	} else if (strcmp(name, "password-command") == 0) {
		t->password.command = value;
	} else if (strcmp(name, "cache-dir") == 0) {
		t->conf.cache_dir = value;
	} else if (strcmp(name, "cache-size") == 0) {
		if (tool_parse_size(value, &v) != 0 || v < CACHE_LIMIT_MIN)
			return bad_value(name, value,
			    "want a size of at least 64M, such as 20G");
		t->conf.cache_limit = v;
	} else if (strcmp(name, "no-cache") == 0) {
		ret = flag_value(name, value, &t->conf.no_cache);
		return ret;
	} else if (strcmp(name, "region") == 0) {
		t->conf.store.region = value;
	} else if (strcmp(name, "endpoint") == 0) {
		t->conf.store.endpoint = value;
	} else if (strcmp(name, "path-style") == 0) {
		ret = flag_value(name, value, &flag);
		if (ret == 1)
			t->conf.store.path_style = flag ? 1 : -1;
		return ret;
	} else if (strcmp(name, "sse") == 0) {
		t->conf.store.sse = value;
	} else if (strcmp(name, "tier") == 0) {
		t->conf.store.tier = value;
	} else if (strcmp(name, "meta-class") == 0) {
		t->conf.store.meta_class = value;
	} else if (strcmp(name, "bucket-owner") == 0) {
		t->conf.store.bucket_owner = value;
	} else if (strcmp(name, "requester-pays") == 0) {
		return flag_value(name, value, &t->conf.store.requester_pays);
	} else if (strcmp(name, "timeout") == 0) {
		if (tool_parse_uint(value, 86400, &v) != 0 || v == 0)
			return bad_value(name, value,
			    "want seconds, 1 to 86400");
		t->conf.store.timeout = (unsigned)v;
	} else if (strcmp(name, "prices") == 0) {
		t->prices = value;
	} else {
		return 0;
	}
	return 1;
}

static int
common_option(struct tool *t, int c, const char *arg)
{
	size_t i;

	switch (c) {
	case 'q':
		t->quiet = 1;
		log_init("firn", LOG_LEVEL_WARN);
		return 0;
	case 'v':
		t->verbose++;
		log_init("firn", LOG_LEVEL_DEBUG);
		return 0;
	case 'p':
		t->profile = arg;
		return 0;
	case O_JSON:
		t->json = 1;
		return 0;
	}
	for (i = 0; i < COMMON; i++)
		if (common[i].val == c)
			return tool_set(t, common[i].name, arg) < 0 ? -1 : 0;
	return -1;
}

static void
help_print(const struct command *c)
{
	printf("usage: firn [-r REPO | -p PROFILE] %s%s%s\n\n%s\n", c->name,
	    *c->args != '\0' ? " " : "", c->args, c->help);
	printf("\nOptions of every command: `firn --help`.  More: firn(1).\n");
}

static int
is_common(int c)
{
	size_t i;

	for (i = 0; i < COMMON; i++)
		if (common[i].val == c)
			return 1;
	return 0;
}

int
tool_option(struct tool *t, int argc, char **argv, const char *letters,
    const struct option *own)
{
	struct option all[COMMON + OWN_MAX];
	char shorts[64];
	size_t n = 0;
	int c;

	memcpy(all, common, sizeof(common));
	while (own != NULL && own[n].name != NULL && n < OWN_MAX - 1) {
		all[COMMON + n] = own[n];
		n++;
	}
	memset(&all[COMMON + n], 0, sizeof(all[0]));
	snprintf(shorts, sizeof(shorts), "r:p:qvh%s", letters);
	while ((c = getopt_long(argc, argv, shorts, all, NULL)) != -1) {
		if (c == '?') {
			fprintf(stderr, "`firn %s --help` shows its options\n",
			    t->command->name);
			return '?';
		}
		if (c == 'h') {
			help_print(t->command);
			t->asked_help = 1;
			return '?';
		}
		if (c == O_VERSION) {
			printf("firn %s\n", PACKAGE_VERSION);
			t->asked_help = 1;
			return '?';
		}
		if (!is_common(c))
			return c;
		if (common_option(t, c, optarg) != 0)
			return '?';
	}
	return -1;
}

int
tool_usage_status(const struct tool *t)
{
	return t->asked_help ? EXIT_DONE : EXIT_USAGE;
}

int
tool_usage(const struct tool *t, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_err(0, "%s: %s; `firn %s --help` shows how", t->command->name,
	    text, t->command->name);
	return EXIT_USAGE;
}

int
tool_exit(int err)
{
	if (err == 0)
		return EXIT_DONE;
	/* Of ^C at a command's prompt only the command hears. */
	if (tool_stop || err == -ECANCELED)
		return EXIT_INTERRUPTED;
	switch (err) {
	case -FIRN_ENOREPO:
		return EXIT_NO_REPOSITORY;
	case -FIRN_EWRONGKEY:
	case -FIRN_ENOKEY:
		return EXIT_WRONG_KEY;
	default:
		return EXIT_FAILED;
	}
}

int
tool_kdf_memory(struct tool *t, const char *value)
{
	uint64_t v;

	if (tool_parse_size(value, &v) != 0 || v < REPO_KDF_MIN ||
	    v > REPO_KDF_MAX || (v & (v - 1)) != 0)
		return tool_usage(t, "--kdf-memory '%s': want a power of two "
		    "from 1M to 1G", value);
	if (v < REPO_KDF_WEAK)
		log_warn(0, "--kdf-memory %s: a password that a person can "
		    "remember is guessed too fast with less than 16M; take one "
		    "of 20 random characters or more", value);
	t->conf.kdf_memory = v;
	return 0;
}

int
tool_label(const struct tool *t, const char *value)
{
	if (strlen(value) > KEYSLOT_LABEL_MAX)
		return tool_usage(t, "--label is longer than %d bytes",
		    KEYSLOT_LABEL_MAX);
	if (!keyslot_label_valid(value))
		return tool_usage(t, "--label: want UTF-8 without control "
		    "characters");
	return 0;
}

int
tool_url_is_s3(const char *url)
{
	return strncmp(url, "s3://", 5) == 0;
}

void
tool_class_warn(const char *class_name)
{
	if (!store_class_is_known(class_name))
		log_warn(0, "storage class '%s' is not one that firn knows; "
		    "it is passed on as it is, and taken for one that can be "
		    "read at once", class_name);
}

int
tool_need_repo(struct tool *t)
{
	int status;

	if (t->profile != NULL) {
		status = profile_load(t, t->profile);
		if (status != 0)
			return status;
	}
	if (t->conf.url == NULL)
		t->conf.url = getenv("FIRN_REPOSITORY");
	if (t->conf.url == NULL || *t->conf.url == '\0')
		return tool_usage(t, "which repository? give -r REPO, -p "
		    "PROFILE, or set FIRN_REPOSITORY");
	if (store_check(t->conf.url, &t->conf.store) != 0)
		return EXIT_USAGE;
	if (t->conf.password == NULL) {
		t->conf.password = password_get;
		t->conf.password_ctx = &t->password;
	}
	return 0;
}

int
tool_open(struct tool *t)
{
	int status;

	if (t->repo != NULL)
		return 0;
	status = tool_need_repo(t);
	if (status != 0)
		return status;
	status = tool_exit(repo_open(&t->conf, &t->repo));
	return status != 0 ? status : tool_prices(t);
}

void
tool_close(struct tool *t)
{
	if (t->verbose > 0)
		tool_print_store(t);
	repo_close(t->repo);
	store_close(t->store);
	free(t->price);
	while (t->nowned > 0)
		free(t->owned[--t->nowned]);
}

int
tool_generation(struct tool *t, char *what, struct generation_list *list,
    const struct generation **out, const char **path)
{
	int status, err;

	memset(list, 0, sizeof(*list));
	status = tool_open(t);
	if (status != 0)
		return status;
	err = generation_list(t->repo, list);
	if (err == 0)
		err = generation_find_path(list, what, out, path);
	if (err != 0)
		generation_list_release(list);
	return tool_exit(err);
}
