/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exclude patterns.
 *
 * A pattern is compiled to a row of tokens and matched by carrying the set of
 * tokens that may come next along the path, as a bit set: time is at most
 * (bytes of path) * (tokens), whatever the pattern, and matching allocates
 * nothing.  A pattern without wildcards is compared as bytes.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup/exclude.h"
#include "base/err.h"
#include "base/log.h"

/* Bytes of a pattern, and so tokens; a longer one could match no path that
 * the system calls take. */
#define PATTERN_MAX 4096
#define STATE_WORDS (PATTERN_MAX / 64 + 1)

enum token_type {
	TOKEN_BYTE,	/* this byte */
	TOKEN_SET,	/* one byte of a set, not '/' */
	TOKEN_STAR,	/* any bytes but '/', or none */
	TOKEN_ANY,	/* any bytes, or none */
	TOKEN_DIRS	/* nothing, or any bytes and a '/' */
};

struct token {
	enum token_type type;
	uint8_t byte;
	uint8_t *set;		/* 32 bytes, a bit a byte value */
};

enum anchor {
	ANCHOR_NAME,	/* against the last component */
	ANCHOR_TAIL,	/* against trailing components */
	ANCHOR_ROOT	/* against the whole path */
};

struct pattern {
	struct token *tokens;
	size_t n;
	char *literal;		/* or NULL; then n bytes */
	enum anchor anchor;
	int negate;
	int dir_only;
};

struct exclude {
	struct pattern *v;
	size_t n, cap;
};

int
exclude_new(struct exclude **out)
{

	*out = calloc(1, sizeof(**out));
	return *out == NULL ? -ENOMEM : 0;
}

static void
pattern_release(struct pattern *p)
{
	size_t i;

	for (i = 0; p->tokens != NULL && i < p->n; i++)
		free(p->tokens[i].set);
	free(p->tokens);
	free(p->literal);
	memset(p, 0, sizeof(*p));
}

void
exclude_free(struct exclude *x)
{
	size_t i;

	if (x == NULL)
		return;
	for (i = 0; i < x->n; i++)
		pattern_release(&x->v[i]);
	free(x->v);
	free(x);
}

static void
set_add(uint8_t *set, unsigned c)
{

	set[c / 8] |= (uint8_t)(1u << c % 8);
}

static int
set_has(const uint8_t *set, unsigned c)
{

	return set[c / 8] >> c % 8 & 1;
}

/* "[:digit:]" and its like, of ASCII.  Bytes taken, 0 when it is not one. */
static size_t
set_class(const char *s, uint8_t *set)
{
	static const struct {
		const char *name;
		int (*is)(int c);
	} classes[] = {
		{ "[:alnum:]", isalnum }, { "[:alpha:]", isalpha },
		{ "[:blank:]", isblank }, { "[:cntrl:]", iscntrl },
		{ "[:digit:]", isdigit }, { "[:graph:]", isgraph },
		{ "[:lower:]", islower }, { "[:print:]", isprint },
		{ "[:punct:]", ispunct }, { "[:space:]", isspace },
		{ "[:upper:]", isupper }, { "[:xdigit:]", isxdigit }
	};
	size_t i, len;
	int c;

	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		len = strlen(classes[i].name);
		if (strncmp(s, classes[i].name, len) != 0)
			continue;
		for (c = 0; c < 128; c++)
			if (classes[i].is(c))
				set_add(set, (unsigned)c);
		return len;
	}
	return 0;
}

/* One byte of a set, perhaps escaped.  -EINVAL at the end of the pattern. */
static int
set_byte(const char **s)
{

	if (**s == '\\')
		(*s)++;
	if (**s == '\0')
		return -EINVAL;
	return (uint8_t)*(*s)++;
}

/* The inside of [..]; *s stands behind '[', and behind ']' afterwards. */
static int
parse_set(const char **s, uint8_t *set)
{
	const char *start;
	size_t n;
	int negate, lo, hi, c;

	negate = **s == '!' || **s == '^';
	*s += negate;
	/* A ']' that comes first stands for itself. */
	for (start = *s; **s != ']' || *s == start; ) {
		n = **s == '[' ? set_class(*s, set) : 0;
		if (n > 0) {
			*s += n;
			continue;
		}
		lo = hi = set_byte(s);
		if (lo >= 0 && **s == '-' && (*s)[1] != ']' &&
		    (*s)[1] != '\0') {
			(*s)++;
			hi = set_byte(s);
		}
		if (lo < 0 || hi < lo)
			return -EINVAL;
		for (c = lo; c <= hi; c++)
			set_add(set, (unsigned)c);
	}
	(*s)++;
	for (n = 0; negate && n < 32; n++)
		set[n] = (uint8_t)~set[n];
	set['/' / 8] &= (uint8_t)~(1u << '/' % 8);
	return 0;
}

/* A run of stars; *s stands on the first and behind the last afterwards. */
static void
parse_stars(const char **s, const char *begin, struct token *t)
{
	const char *from = *s;
	size_t n;

	n = strspn(from, "*");
	*s += n;
	t->type = n == 1 ? TOKEN_STAR : TOKEN_ANY;
	/* A component of its own stands for any number of them. */
	if (n > 1 && **s == '/' && (from == begin || from[-1] == '/')) {
		t->type = TOKEN_DIRS;
		(*s)++;
	}
}

static int
parse_token(const char **s, const char *begin, struct token *t)
{

	switch (**s) {
	case '*':
		parse_stars(s, begin, t);
		return 0;
	case '?':
	case '[':
		t->type = TOKEN_SET;
		t->set = calloc(1, 32);
		if (t->set == NULL)
			return -ENOMEM;
		if (*(*s)++ == '[')
			return parse_set(s, t->set);
		memset(t->set, 0xff, 32);
		t->set['/' / 8] &= (uint8_t)~(1u << '/' % 8);
		return 0;
	case '\\':
		if (*++*s == '\0')
			return -EINVAL;
		break;
	}
	t->type = TOKEN_BYTE;
	t->byte = (uint8_t)*(*s)++;
	return 0;
}

/* Without wildcards, the bytes are kept and the tokens are not. */
static int
make_literal(struct pattern *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->tokens[i].type != TOKEN_BYTE)
			return 0;
	p->literal = malloc(p->n);
	if (p->literal == NULL)
		return -ENOMEM;
	for (i = 0; i < p->n; i++)
		p->literal[i] = (char)p->tokens[i].byte;
	free(p->tokens);
	p->tokens = NULL;
	return 0;
}

/*
 * Compile what is left of a pattern once '!' and the trailing '/' are off;
 * `s` is ours to write.
 */
static int
compile(char *s, struct pattern *p)
{
	const char *in = s;
	size_t len;
	int err;

	len = strlen(s);
	if (len == 0 || len > PATTERN_MAX - 1)
		return -EINVAL;
	p->anchor = s[0] == '/' ? ANCHOR_ROOT :
	    strchr(s, '/') != NULL ? ANCHOR_TAIL : ANCHOR_NAME;
	p->tokens = calloc(len, sizeof(*p->tokens));
	if (p->tokens == NULL)
		return -ENOMEM;
	while (*in != '\0') {
		err = parse_token(&in, s, &p->tokens[p->n]);
		/* A second TOKEN_DIRS says nothing new, and state_add()
		 * would have to run along all of them. */
		if (p->n == 0 || p->tokens[p->n].type != TOKEN_DIRS ||
		    p->tokens[p->n - 1].type != TOKEN_DIRS)
			p->n++;
		if (err != 0)
			return err;
	}
	return make_literal(p);
}

/* A copy with runs of '/' made one, and '!' and the trailing '/' noted and
 * taken off. */
static int
normalise(const char *pattern, struct pattern *p, char **out)
{
	char *s;
	size_t i, n = 0;

	p->negate = pattern[0] == '!';
	pattern += p->negate;
	s = malloc(strlen(pattern) + 1);
	if (s == NULL)
		return -ENOMEM;
	for (i = 0; pattern[i] != '\0'; i++)
		if (pattern[i] != '/' || n == 0 || s[n - 1] != '/')
			s[n++] = pattern[i];
	p->dir_only = n > 0 && s[n - 1] == '/';
	n -= (size_t)p->dir_only;
	s[n] = '\0';
	*out = s;
	return 0;
}

/* What is wrong with a pattern, of which normalise() made s. */
static const char *
pattern_wrong(const char *s)
{
	if (*s == '\0')
		return "it names nothing; want NAME, /PATH, or either behind "
		    "'!'";
	if (strlen(s) > PATTERN_MAX - 1)
		return "it is too long";
	return s[strlen(s) - 1] == '\\' ? "nothing follows its last '\\'" :
	    "a '[' needs its ']', and what stands between them in order; "
	    "write \\[ for the sign itself";
}

int
exclude_add(struct exclude *x, const char *pattern)
{
	struct pattern p = { 0 }, *v;
	char *s = NULL;
	int err;

	err = normalise(pattern, &p, &s);
	if (err == 0)
		err = compile(s, &p);
	if (err == 0 && x->n == x->cap) {
		v = realloc(x->v, (x->cap * 2 + 8) * sizeof(*v));
		if (v == NULL) {
			err = -ENOMEM;
		} else {
			x->v = v;
			x->cap = x->cap * 2 + 8;
		}
	}
	if (err == -EINVAL)
		log_plain(err, "cannot use exclude pattern '%s': %s", pattern,
		    pattern_wrong(s));
	else if (err != 0)
		log_err(err, "cannot use exclude pattern '%s'", pattern);
	free(s);
	if (err != 0) {
		pattern_release(&p);
		return err;
	}
	x->v[x->n++] = p;
	return 0;
}

/* One line of a file, without its newline. */
static int
add_line(struct exclude *x, char *line, size_t len)
{

	if (memchr(line, '\0', len) != NULL)
		return log_err(-EINVAL, "exclude pattern '%s' holds a NUL",
		    line);
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		line[--len] = '\0';
	if (line[0] == '#' || strspn(line, " \t") == len)
		return 0;
	return exclude_add(x, line);
}

int
exclude_add_file(struct exclude *x, const char *path)
{
	FILE *f = stdin;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int err = 0;

	if (strcmp(path, "-") != 0)
		f = fopen(path, "re");
	if (f == NULL)
		return log_err(-errno, "cannot open exclude file '%s'", path);
	while (err == 0) {
		errno = 0;
		n = getline(&line, &cap, f);
		if (n < 0)
			break;
		err = add_line(x, line, (size_t)n);
	}
	if (err == 0 && !feof(f))
		err = log_err(errno != 0 ? -errno : -EIO,
		    "cannot read exclude file '%s'", path);
	free(line);
	if (f != stdin)
		fclose(f);
	return err;
}

/* Add token i, and all that may be skipped to from it. */
static void
state_add(const struct pattern *p, uint64_t *state, size_t i)
{

	for (;; i++) {
		state[i / 64] |= 1ull << i % 64;
		if (i == p->n || p->tokens[i].type < TOKEN_STAR)
			return;
	}
}

/* What byte c makes of token i. */
static void
state_step(const struct pattern *p, uint64_t *next, size_t i, uint8_t c)
{
	const struct token *t = &p->tokens[i];

	switch (t->type) {
	case TOKEN_BYTE:
		if (c == t->byte)
			state_add(p, next, i + 1);
		break;
	case TOKEN_SET:
		if (set_has(t->set, c))
			state_add(p, next, i + 1);
		break;
	case TOKEN_STAR:
		if (c != '/')
			state_add(p, next, i);
		break;
	case TOKEN_ANY:
		state_add(p, next, i);
		break;
	case TOKEN_DIRS:
		/* Stay, without leave to go on until a '/' has come. */
		next[i / 64] |= 1ull << i % 64;
		if (c == '/')
			state_add(p, next, i + 1);
		break;
	}
}

/* The state after byte c: 1 when anything is left in it. */
static int
state_next(const struct pattern *p, const uint64_t *state, uint64_t *next,
    size_t words, uint8_t c)
{
	uint64_t bits, any = 0;
	size_t w, i;

	memset(next, 0, words * sizeof(*next));
	for (w = 0; w < words; w++) {
		for (bits = state[w]; bits != 0; bits &= bits - 1) {
			i = w * 64 + (size_t)__builtin_ctzll(bits);
			if (i < p->n)
				state_step(p, next, i, c);
		}
	}
	/* Trailing components: each may be the first of them. */
	if (p->anchor == ANCHOR_TAIL && c == '/')
		state_add(p, next, 0);
	for (w = 0; w < words; w++)
		any |= next[w];
	return any != 0;
}

static int
match_tokens(const struct pattern *p, const char *s, size_t len)
{
	uint64_t a[STATE_WORDS], b[STATE_WORDS];
	uint64_t *state = a, *next = b, *swap;
	size_t words = p->n / 64 + 1;

	memset(state, 0, words * sizeof(*state));
	state_add(p, state, 0);
	for (; len > 0; s++, len--) {
		if (!state_next(p, state, next, words, (uint8_t)*s) &&
		    p->anchor != ANCHOR_TAIL)
			return 0;
		swap = state;
		state = next;
		next = swap;
	}
	return (int)(state[p->n / 64] >> p->n % 64 & 1);
}

static int
match_literal(const struct pattern *p, const char *s, size_t len)
{

	if (len < p->n || memcmp(p->literal, s + len - p->n, p->n) != 0)
		return 0;
	if (len == p->n)
		return 1;
	return p->anchor == ANCHOR_TAIL && s[len - p->n - 1] == '/';
}

int
exclude_match(const struct exclude *x, const char *path, int is_dir)
{
	const struct pattern *p;
	const char *name, *s;
	size_t len, i;

	len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	name = memrchr(path, '/', len);
	name = name == NULL ? path : name + 1;
	/* The last match decides, so begin there. */
	for (i = x->n; i > 0; i--) {
		p = &x->v[i - 1];
		if (p->dir_only && !is_dir)
			continue;
		s = p->anchor == ANCHOR_NAME ? name :
		    p->anchor == ANCHOR_TAIL && path[0] == '/' ? path + 1 :
		    path;
		if (p->literal != NULL ?
		    match_literal(p, s, len - (size_t)(s - path)) :
		    match_tokens(p, s, len - (size_t)(s - path)))
			return !p->negate;
	}
	return 0;
}
