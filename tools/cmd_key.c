/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

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
	const char *label;
	struct password_source fresh;
};

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

	j->fresh.prompt = "new password";
	j->fresh.stop = &tool_stop;
	err = password_get(&j->fresh, 1, &password);
	if (err == 0)
		err = repo_key_add(j->t->repo, role, label,
		    (char *)password.data, password.len, info);
	if (password.data != NULL)
		explicit_bzero(password.data, password.cap);
	buf_release(&password);
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
run(struct tool *t, int argc, char **argv)
{
	struct job j = { .t = t, .role = KEY_OWNER, .label = "" };
	const char *verb, *slot = NULL;
	int c, status = 0, args = 0, err;

	while ((c = tool_option(t, argc, argv, "", options)) != -1) {
		if (c == O_ROLE)
			status = role_option(&j, optarg);
		else if (c == O_LABEL)
			j.label = optarg;
		else if (c == O_NEW_FILE)
			j.fresh.file = optarg;
		else if (c == O_NEW_COMMAND)
			j.fresh.command = optarg;
		else if (c == O_KDF)
			status = tool_kdf_memory(t, optarg);
		else
			return tool_usage_status(t);
		if (status != 0)
			return status;
	}
	if (optind == argc)
		return tool_usage(t, "want list, add, passwd or remove");
	if (strlen(j.label) > KEYSLOT_LABEL_MAX)
		return tool_usage(t, "--label is longer than %d bytes",
		    KEYSLOT_LABEL_MAX);
	verb = argv[optind++];
	args = strcmp(verb, "remove") == 0;
	if (!args && strcmp(verb, "list") != 0 && strcmp(verb, "add") != 0 &&
	    strcmp(verb, "passwd") != 0)
		return tool_usage(t, "'%s'? want list, add, passwd or remove",
		    verb);
	if (optind + args != argc)
		return tool_usage(t, args ? "remove which key? give one slot" :
		    "unexpected argument");
	if (args)
		slot = argv[optind];
	status = tool_open(t);
	if (status != 0)
		return status;
	if (strcmp(verb, "list") == 0)
		err = repo_key_list(t->repo, print_key, &j);
	else if (strcmp(verb, "add") == 0)
		err = do_add(&j);
	else if (strcmp(verb, "passwd") == 0)
		err = do_passwd(&j);
	else
		err = repo_key_remove(t->repo, slot);
	return tool_exit(err);
}

const struct command command_key = { "key", run,
	"list | add | passwd | remove SLOT", "list, add, change, remove keys",
	"Each key has a password of its own.\n"
	"\n"
	"  list            the keys; '*' is the one in use\n"
	"  add             a further key\n"
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
	"                  the new password; else it is asked for\n"
	"      --kdf-memory SIZE\n"
	"                  memory that trying the new password takes (128M)\n"
	"\n"
	"Example: firn key add --role write-only --label web1 \\\n"
	"             --new-password-file web1.password" };
