/*
 * Queries of people for Spark. They are put into parentheses, where its grammar takes a query and nothing that writes: so what matters is
 * that they cannot leave these. Two read the text besides: Spark's own parser, and its shell, which splits its file into statements by
 * rules of its own. What the two might read differently is refused.
 */
#include "engine/spark_internal.h"

#include "base/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define QUERY_WORD_BYTES 32u

struct reading {
	const char *name;
	struct slice query;
	size_t at;
	char *clean;                 /* as long as the query: comments are blanks */
	char word[QUERY_WORD_BYTES]; /* the last one, cut; "" when something else was last */
	bool behind_using;           /* nothing was behind that word but the r of a raw text */
	unsigned depth;
	bool found;
	bool ended;
	struct error *err;
};

static int refuse(const struct reading *r, size_t at, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static int refuse(const struct reading *r, size_t at, int code, const char *format, ...)
{
	char what[256];
	va_list list;
	unsigned line = 1;
	size_t begin = 0;
	for (size_t i = 0; i < at && i < r->query.len; i++)
		if (r->query.data[i] == '\n') {
			line++;
			begin = i + 1;
		}
	va_start(list, format);
	vsnprintf(what, sizeof(what), format, list);
	va_end(list);
	const char *const end = memchr(r->query.data + begin, '\n', r->query.len - begin);
	size_t len = end ? (size_t)(end - (r->query.data + begin)) : r->query.len - begin;
	len = len > 300 ? 300 : len;
	return error_set(r->err, code, "%s:%u: %s\n    %.*s\n    %*s", r->name, line, what, (int)len,
			 r->query.data + begin, (int)(at - begin) + 1, "^");
}

static char char_at(const struct reading *r, size_t at)
{
	return at < r->query.len ? r->query.data[at] : '\0';
}

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       (unsigned char)c >= 0x80;
}

static void blank(struct reading *r, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		r->clean[i] = r->query.data[i] == '\n' ? '\n' : ' ';
}

static int skip_comment(struct reading *r)
{
	const size_t begin = r->at;
	if (char_at(r, begin) == '-') {
		while (r->at < r->query.len && r->query.data[r->at] != '\n')
			r->at++;
	} else {
		unsigned depth = 0;
		do {
			if (r->at + 1 >= r->query.len)
				return refuse(r, begin, ERROR_SQL, "this comment is not closed");
			const char c = char_at(r, r->at);
			const char next = char_at(r, r->at + 1);
			const bool opens = c == '/' && next == '*';
			const bool closes = c == '*' && next == '/';
			depth += opens;
			depth -= closes;
			r->at += opens || closes ? 2 : 1;
		} while (depth);
	}
	blank(r, begin, r->at);
	return 0;
}

static int skip_text(struct reading *r)
{
	const size_t begin = r->at;
	const char mark = char_at(r, begin);
	const bool raw = strcasecmp(r->word, "r") == 0 && begin > 0 && is_word_char(char_at(r, begin - 1));
	if (r->behind_using)
		return refuse(r, begin, ERROR_USAGE, "programs are not started here (TRANSFORM ... USING)");
	for (r->at++; char_at(r, r->at) != mark || r->at >= r->query.len; r->at++) {
		if (r->at >= r->query.len)
			return refuse(r, begin, ERROR_SQL, "this text is not closed");
		if (char_at(r, r->at) == '\n')
			return refuse(r, r->at, ERROR_USAGE, "a line feed in a text: write \\n");
		if (char_at(r, r->at) != '\\')
			continue;
		if (raw)
			return refuse(r, r->at, ERROR_USAGE,
				      "a backslash in a raw text: write it without r, with \\\\");
		r->at++;
	}
	r->at++;
	return 0;
}

/* Functions that run what they are told, and one that makes any function's name of a text. */
static bool starts_programs(struct slice word)
{
	static const char *const STARTS[] = {"reflect", "java_method", "try_reflect", "identifier"};
	for (size_t i = 0; i < sizeof(STARTS) / sizeof(STARTS[0]); i++)
		if (word.len == strlen(STARTS[i]) && strncasecmp(word.data, STARTS[i], word.len) == 0)
			return true;
	return false;
}

static int skip_name(struct reading *r)
{
	const size_t begin = r->at;
	for (r->at++; char_at(r, r->at) != '`' || r->at >= r->query.len; r->at++) {
		if (r->at >= r->query.len)
			return refuse(r, begin, ERROR_SQL, "this name is not closed");
		const char c = char_at(r, r->at);
		const char next = char_at(r, r->at + 1);
		if (strchr(";'\"\\\n", c) || (c == '-' && next == '-') || (c == '/' && next == '*'))
			return refuse(r, r->at, ERROR_USAGE, "such a name cannot be asked for here");
	}
	const struct slice name = {r->query.data + begin + 1, r->at - begin - 1};
	r->at++;
	return starts_programs(name) ? refuse(r, begin, ERROR_USAGE, "such a name cannot be asked for here") : 0;
}

static int take_word(struct reading *r)
{
	static const char *const READ[] = {"select", "with", "values", "table"};
	const size_t begin = r->at;
	while (is_word_char(char_at(r, r->at)))
		r->at++;
	snprintf(r->word, sizeof(r->word), "%.*s", (int)(r->at - begin), r->query.data + begin);
	if (starts_programs((struct slice){r->query.data + begin, r->at - begin}))
		return refuse(r, begin, ERROR_USAGE, "programs are not started here (%s)", r->word);
	r->behind_using = strcasecmp(r->word, "using") == 0 || (r->behind_using && strcasecmp(r->word, "r") == 0);
	if (r->found)
		return 0;
	for (size_t i = 0; i < sizeof(READ) / sizeof(READ[0]); i++)
		if (strcasecmp(r->word, READ[i]) == 0)
			return 0;
	return refuse(
		r, begin, ERROR_USAGE,
		"%s cannot be run: on a cluster a query is one SELECT, WITH ... SELECT or VALUES, which only reads",
		r->word);
}

static int take_next(struct reading *r)
{
	const char c = char_at(r, r->at);
	const char next = char_at(r, r->at + 1);
	if ((c == '-' && next == '-') || (c == '/' && next == '*'))
		return skip_comment(r);
	if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
		r->at++;
		return 0;
	}
	if (r->ended && c != ';')
		return refuse(r, r->at, ERROR_USAGE, "on a cluster there is one statement at a time");
	if (c == ';') {
		blank(r, r->at, r->at + 1);
		r->at++;
		r->ended = r->ended || r->found;
		return 0;
	}
	int rc = 0;
	if (is_word_char(c)) {
		rc = take_word(r);
		r->found = true;
		return rc;
	}
	if (!r->found && c != '(')
		return refuse(r, r->at, ERROR_USAGE, "expected SELECT, WITH or VALUES");
	if (c == '\'' || c == '"') {
		rc = skip_text(r);
	} else if (c == '`') {
		rc = skip_name(r);
	} else if (c == ')' && r->depth == 0) {
		rc = refuse(r, r->at, ERROR_SQL, "there is no ( for this");
	} else if (c == '\0' || c == '\\') {
		rc = refuse(r, r->at, ERROR_SQL, "this is no character of a query");
	} else {
		r->depth += c == '(';
		r->depth -= c == ')';
		r->at++;
	}
	r->word[0] = '\0';
	r->behind_using = false;
	return rc;
}

static int read_query(struct reading *r)
{
	int rc = 0;
	while (rc == 0 && r->at < r->query.len)
		rc = take_next(r);
	if (rc < 0)
		return rc;
	if (!r->found)
		return error_set(r->err, ERROR_USAGE, "there is no statement to run");
	return r->depth ? refuse(r, r->query.len ? r->query.len - 1 : 0, ERROR_SQL, "a ( is not closed") : 0;
}

int spark_script_add_query(struct spark_script *script, const char *name, struct slice query, const char *before,
			   const char *after, struct error *err)
{
	struct buf clean = {0};
	if (buf_append(&clean, query.data, query.len) < 0)
		return error_no_memory(err, query.len);
	struct reading reading = {.name = name, .query = query, .clean = clean.data, .err = err};
	const int rc = read_query(&reading);
	struct spark_statement *const statement = rc == 0 ? spark_script_new_statement(script, name) : NULL;
	if (!statement) {
		buf_release(&clean);
		return rc < 0 ? rc : error_no_memory(err, sizeof(*statement));
	}
	script->n++;
	statement->rows = true;
	statement->path = text_printf("%s", name);
	int failed = statement->path ? 0 : ERROR_NO_MEMORY;
	if (failed == 0)
		failed = buf_append(&statement->model, query.data, query.len);
	if (failed == 0)
		failed = buf_printf(&statement->sql, SPARK_ROWS_BEFORE "%s\n", before);
	statement->model_at = statement->sql.len;
	if (failed == 0)
		failed = buf_append(&statement->sql, clean.data, clean.len);
	if (failed == 0)
		failed = buf_printf(&statement->sql, "\n%s" SPARK_ROWS_AFTER, after);
	buf_release(&clean);
	return failed < 0 ? error_no_memory(err, query.len) : 0;
}
