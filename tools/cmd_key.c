/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "tools/tool.h"

enum { O_ROLE = 256, O_LABEL, O_NEW_FILE, O_NEW_COMMAND,
    O_KDF };

static const struct option options[] = {
	{ "role", required_argument, NULL, O_ROLE },
	{ "label", required_argument, NULL, O_LABEL },
	{ "new-password-file", required_argument, NULL, O_NEW_FILE },
	{ "new-password-command", required_argument, NULL, O_NEW_COMMAND },
	{ "kdf-memory", required_argument, NULL, O_KDF },
	{ NULL, 0, NULL, 0 }
};

struct job {
	struct tool *t;
	enum key_role role;
	int has_role;
	const char *label;
	struct password_source fresh;
	struct buf old;		/* the password in use */
};

/* As password_get(), and keep it to compare the new one with. */
static int
password_keep(void *ctx, int again, struct buf *out)
{
	struct job *j = ctx;
	int err;

	err = password_get(&j->t->password, again, out);
	buf_reset(&j->old);
	return err == 0 ? buf_add(&j->old, out->data, out->len) : err;
}

static void
password_release(struct buf *password)
{
	if (password->data != NULL)
		explicit_bzero(password->data, password->cap);
	buf_release(password);
}

static int
print_key(void *ctx, const struct keyslot_info *k)
{
	struct job *j = ctx;
	int mine = strcmp(k->name, repo_slot(j->t->repo)->name) == 0;
	char time[TIMEFMT_SIZE];
	struct json *o;

	timefmt_name(&k->created, time);
	if (j->t->json) {
		o = json_object();
		json_set_str(o, "key", k->name);
		json_set_str(o, "role", key_role_name(k->role));
		json_set_str(o, "label", k->label);
		json_set_str(o, "created", time);
		json_set_bool(o, "in_use", mine);
		return tool_print_json(o);
	}
	printf("%c %s  %-10s  %s  %s\n", mine ? '*' : ' ', k->name,
	    key_role_name(k->role), time, k->label);
	return 0;
}

/* A new slot with the new password. */
static int
add(struct job *j, enum key_role role, const char *label,
    struct keyslot_info *info)
{
	struct buf password = BUF_INIT(PASSWORD_MAX);
	int err;

	j->fresh.fresh = 1;
	j->fresh.stop = &tool_stop;
	err = password_get(&j->fresh, 1, &password);
	/* One password for two keys opens either, whatever their roles. */
	if (err == 0 && password.len == j->old.len &&
	    memcmp(password.data, j->old.data, j->old.len) == 0)
		err = log_plain(-EINVAL, "the new password is the one in use; "
		    "give another");
	if (err == 0)
		err = repo_key_add(j->t->repo, role, label,
		    (char *)password.data, password.len, info);
	password_release(&password);
	return err;
}

static int
report(const struct job *j, const struct keyslot_info *info)
{
	if (j->t->json || !j->t->quiet)
		return print_key((void *)(uintptr_t)j, info);
	return 0;
}

static int
do_add(struct job *j)
{
	struct keyslot_info info;
	int err;

	err = add(j, j->role, j->label, &info);
	return err == 0 ? report(j, &info) : err;
}

/* A new slot for the key in use, then the old one away. */
static int
do_passwd(struct job *j)
{
	struct keyslot_info old = *repo_slot(j->t->repo), info;
	int err;

	err = add(j, old.role, *j->label != '\0' ? j->label : old.label,
	    &info);
	if (err == 0 && old.role == KEY_OWNER)
		err = repo_key_remove(j->t->repo, old.name);
	else if (err == 0)
		log_info("the old password still works: an owner must run "
		    "`firn key remove %s`", old.name);
	return err == 0 ? report(j, &info) : err;
}

static int
role_option(struct job *j, const char *value)
{
	j->has_role = 1;
	if (strcmp(value, "owner") == 0)
		j->role = KEY_OWNER;
	else if (strcmp(value, "write-only") == 0)
		j->role = KEY_WRITE_ONLY;
	else
		return tool_usage(j->t, "--role '%s': want owner or "
		    "write-only", value);
	return 0;
}

static int
option(struct job *j, int c, const char *value)
{
	if (c == O_ROLE)
		return role_option(j, value);
	if (c == O_KDF)
		return tool_kdf_memory(j->t, value);
	if (c == O_NEW_FILE)
		j->fresh.file = value;
	else if (c == O_NEW_COMMAND)
		j->fresh.command = value;
	else if (c == O_LABEL && tool_label(j->t, value) == 0)
		j->label = value;
	else
		return tool_usage_status(j->t);
	return 0;
}

/* The verb and what may stand with it. */
static int
arguments(const struct job *j, int argc, char **argv, const char **slot)
{
	const char *verb = argv[optind];
	int args, adds, passwd;

	if (optind == argc)
		return tool_usage(j->t, "want list, add, passwd or remove");
	args = strcmp(verb, "remove") == 0;
	adds = strcmp(verb, "add") == 0;
	passwd = strcmp(verb, "passwd") == 0;
	if (!args && !adds && !passwd && strcmp(verb, "list") != 0)
		return tool_usage(j->t, "'%s'? want list, add, passwd or "
		    "remove", verb);
	if (optind + 1 + args != argc)
		return tool_usage(j->t, args ? "remove which key? give one slot"
		    : "unexpected argument");
	if (j->has_role && !adds)
		return tool_usage(j->t, "--role is of no use to %s, only to "
		    "add", verb);
	if (!adds && !passwd && (*j->label != '\0' || j->fresh.file != NULL ||
	    j->fresh.command != NULL || j->t->conf.kdf_memory != 0))
		return tool_usage(j->t, "--label, --new-password-file, "
		    "--new-password-command and --kdf-memory are of no use to "
		    "%s", verb);
	*slot = args ? argv[optind + 1] : NULL;
	return 0;
}

static int
act(struct job *j, const char *verb, const char *slot)
{
	int err;

	if (strcmp(verb, "list") == 0) {
		err = repo_key_list(j->t->repo, print_key, j);
		return err == 0 ? tool_json_tail(j->t) : err;
	}
	if (strcmp(verb, "add") == 0)
		return do_add(j);
	if (strcmp(verb, "passwd") == 0)
		return do_passwd(j);
	return repo_key_remove(j->t->repo, slot);
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct job j = { .t = t, .role = KEY_OWNER, .label = "",
	    .old = BUF_INIT(PASSWORD_MAX) };
	const char *slot = NULL;
	int c, status = 0;

	while (status == 0 && (c = tool_option(t, argc, argv, "", options)) !=
	    -1) {
		if (c == '?')
			return tool_usage_status(t);
		status = option(&j, c, optarg);
	}
	if (status == 0)
		status = arguments(&j, argc, argv, &slot);
	if (status != 0)
		return status;
	t->conf.password = password_keep;
	t->conf.password_ctx = &j;
	status = tool_open(t);
	if (status == 0)
		status = tool_exit(act(&j, argv[optind], slot));
	password_release(&j.old);
	return status;
}

const struct command command_key = { "key", run,
	"list | add | passwd | remove SLOT", "list, add, change, remove keys",
	"Each key has a password of its own.\n"
	"\n"
	"  list            the keys; '*' is the one in use\n"
	"  add             a further key, with a password of its own\n"
	"  passwd          another password for the key in use\n"
	"  remove SLOT     take a key away; the last owner's stays\n"
	"\n"
	"      --role owner|write-only\n"
	"                  what the new key may do: all (default), or add "
	"generations\n"
	"                  without being able to read any, its own included\n"
	"      --label TEXT\n"
	"                  a name for the new key\n"
	"      --new-password-file FILE, --new-password-command COMMAND\n"
	"                  the new password; else it is asked for on the "
	"terminal\n"
	"      --kdf-memory SIZE\n"
	"                  memory that trying the new password takes (32M)\n"
	"\n"
	"The new password must differ from the one in use, and FIRN_PASSWORD_FILE "
	"and\nFIRN_PASSWORD_COMMAND say only the one in use.\n"
	"\n"
	"Example: firn key add --role write-only --label web1 \\\n"
	"             --new-password-file web1.password" };
