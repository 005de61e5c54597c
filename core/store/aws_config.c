/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading one file.  It is parsed in a copy of itself: names and values are
 * pieces of the copy, ended by NULs in place.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/aws_config.h"

/* A section's mere being there has a NULL key. */
struct entry {
	enum aws_section section;
	const char *name;
	const char *key;
	const char *sub;
	char *value;
};

struct aws_file {
	char *text;
	size_t len;
	struct entry *entry;
	size_t n, cap;
};

/* Where in the file we are. */
struct parser {
	struct aws_file *f;
	enum aws_file_kind kind;
	int inside;		/* of a section that we know */
	enum aws_section section;
	const char *name;
	int has_key;		/* the last line with a key, if any */
	size_t key;		/* its entry */
	size_t indent;		/* blanks in front of it */
};

static int
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *
skip_blanks(char *s)
{
	return s + strspn(s, " \t");
}

static void
cut_blanks(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && is_blank(s[n - 1]))
		s[--n] = '\0';
}

/* From a blank and then '#' or ';' on it is a comment. */
static void
cut_comment(char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if ((s[i] == '#' || s[i] == ';') &&
		    (i == 0 || is_blank(s[i - 1]))) {
			s[i] = '\0';
			break;
		}
	cut_blanks(s);
}

static void
lower(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

static int
entry_add(struct parser *p, const char *key, const char *sub, char *value)
{
	struct aws_file *f = p->f;
	size_t cap = f->cap > 0 ? 2 * f->cap : 32;
	struct entry *grown;

	if (f->n == f->cap) {
		grown = realloc(f->entry, cap * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		f->entry = grown;
		f->cap = cap;
	}
	f->entry[f->n++] = (struct entry){ p->section, p->name, key, sub,
	    value };
	return 0;
}

/* What stands behind a word that opens a name, or NULL. */
static char *
behind(char *s, const char *word)
{
	size_t n = strlen(word);

	return strncmp(s, word, n) == 0 && is_blank(s[n]) ?
	    skip_blanks(s + n) : NULL;
}

static char *
unquote(char *s)
{
	size_t n = strlen(s);

	if (n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n - 1] == s[0]) {
		s[n - 1] = '\0';
		s++;
	}
	return s;
}

/* "[...]", without its first bracket. */
static int
section_begin(struct parser *p, char *s)
{
	char *end = strchr(s, ']'), *name;

	p->inside = p->has_key = 0;
	if (end == NULL)
		return 0;
	*end = '\0';
	cut_blanks(s);
	name = s = skip_blanks(s);
	p->section = AWS_PROFILE;
	if (p->kind == AWS_CONFIG && strcmp(s, "default") != 0) {
		name = behind(s, "profile");
		if (name == NULL) {
			name = behind(s, "services");
			p->section = AWS_SERVICES;
		}
		if (name == NULL)
			return 0;	/* sso-session, plugins ... */
		name = unquote(name);
	}
	p->name = name;
	p->inside = 1;
	return entry_add(p, NULL, NULL, NULL);
}

/* A line deeper than the key before it: a value of its own below a key that
 * has none, else more of the value. */
static int
line_below(struct parser *p, char *s)
{
	struct entry *e = &p->f->entry[p->key];
	char *eq, *end;

	if (*e->value != '\0') {
		/* This line lies behind the value and its NUL. */
		cut_comment(s);
		end = e->value + strlen(e->value);
		*end++ = ' ';
		memmove(end, s, strlen(s) + 1);
		return 0;
	}
	eq = strchr(s, '=');
	if (eq == NULL)
		return 0;
	*eq = '\0';
	cut_blanks(s);
	lower(s);
	eq = skip_blanks(eq + 1);
	cut_comment(eq);
	return entry_add(p, e->key, s, eq);
}

static int
line_key(struct parser *p, char *s, size_t indent)
{
	char *eq = strchr(s, '=');

	p->has_key = 0;
	if (eq == NULL)
		return 0;
	*eq = '\0';
	cut_blanks(s);
	lower(s);
	eq = skip_blanks(eq + 1);
	cut_comment(eq);
	p->has_key = 1;
	p->key = p->f->n;
	p->indent = indent;
	return entry_add(p, s, NULL, eq);
}

static int
line_read(struct parser *p, char *line)
{
	char *s = skip_blanks(line);
	size_t indent = (size_t)(s - line);

	if (*s == '\0' || *s == '#' || *s == ';')
		return 0;
	if (indent == 0 && *s == '[')
		return section_begin(p, s + 1);
	if (!p->inside)
		return 0;
	if (p->has_key && indent > p->indent)
		return line_below(p, s);
	return line_key(p, s, indent);
}

static int
parse(struct parser *p)
{
	char *line = p->f->text, *end;
	int err = 0;

	for (; line != NULL && err == 0; line = end) {
		end = strchr(line, '\n');
		if (end != NULL)
			*end++ = '\0';
		line[strcspn(line, "\r")] = '\0';
		err = line_read(p, line);
	}
	return err;
}

int
aws_file_parse(const void *text, size_t len, enum aws_file_kind kind,
    struct aws_file **out)
{
	struct parser p = { .kind = kind };
	int err;

	*out = NULL;
	if (len > 0 && memchr(text, '\0', len) != NULL)
		return -FIRN_ECORRUPT;
	p.f = calloc(1, sizeof(*p.f));
	if (p.f == NULL)
		return -ENOMEM;
	p.f->text = malloc(len + 1);
	if (p.f->text == NULL) {
		aws_file_free(p.f);
		return -ENOMEM;
	}
	if (len > 0)
		memcpy(p.f->text, text, len);
	p.f->text[len] = '\0';
	p.f->len = len;
	err = parse(&p);
	if (err != 0) {
		aws_file_free(p.f);
		return err;
	}
	*out = p.f;
	return 0;
}

void
aws_file_free(struct aws_file *f)
{
	if (f == NULL)
		return;
	if (f->text != NULL)
		explicit_bzero(f->text, f->len);
	free(f->text);
	free(f->entry);
	free(f);
}

int
aws_file_has(const struct aws_file *f, enum aws_section section,
    const char *name)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		if (f->entry[i].section == section &&
		    strcmp(f->entry[i].name, name) == 0)
			return 1;
	return 0;
}

static int
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

const char *
aws_file_get(const struct aws_file *f, enum aws_section section,
    const char *name, const char *key, const char *sub)
{
	const struct entry *e;
	size_t i;

	for (i = f->n; i > 0; i--) {
		e = &f->entry[i - 1];
		if (e->section == section && e->key != NULL &&
		    strcmp(e->name, name) == 0 && strcmp(e->key, key) == 0 &&
		    same(e->sub, sub))
			return e->value;
	}
	return NULL;
}
