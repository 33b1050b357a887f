/* Spark's errors in our words: what it prints as JSON (messageFormat STANDARD), and what comes before it can. */
#include "engine/spark_internal.h"

#include "base/utf8.h"
#include "engine/lex.h"
#include "engine/spark_json.h"

#include <string.h>
#include <sys/wait.h>

/* Of a line of a model that is shown, and of what Spark says without a form. */
#define SHOWN_BYTES 300u

struct complaint {
	struct json_object *json; /* the whole; NULL: there is none */
	const char *name;         /* of its class */
	struct buf message;
};

static struct slice last_of(struct slice said, const char *needle)
{
	const size_t len = strlen(needle);
	struct slice found = {NULL, 0};
	for (struct slice rest = said; rest.len >= len;) {
		const char *const at = memmem(rest.data, rest.len, needle, len);
		if (!at)
			break;
		found = (struct slice){at, said.len - (size_t)(at - said.data)};
		rest = (struct slice){at + 1, said.len - (size_t)(at + 1 - said.data)};
	}
	return found;
}

static bool says(struct slice said, const char *words)
{
	return memmem(said.data ? said.data : "", said.len, words, strlen(words)) != NULL;
}

/* "A column with name <objectName> cannot be resolved", and the parameters. */
static void fill_template(struct slice text, struct json_object *parameters, struct buf *out)
{
	for (size_t at = 0; at < text.len;) {
		const char *const open = memchr(text.data + at, '<', text.len - at);
		const char *const close = open ? memchr(open, '>', text.len - (size_t)(open - text.data)) : NULL;
		const size_t end = close ? (size_t)(open - text.data) : text.len;
		(void)buf_append(out, text.data + at, end - at);
		if (!close)
			break;
		_cleanup_free_ char *name = slice_dup((struct slice){open + 1, (size_t)(close - open) - 1});
		if (!name || !spark_json_append(json_object_object_get(parameters, name), out))
			(void)buf_append(out, open, (size_t)(close - open) + 1);
		at = (size_t)(close - text.data) + 1;
	}
	while (out->len && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == ' '))
		out->len--;
}

/* The last one that was printed. */
static bool find_complaint(struct slice said, struct complaint *complaint)
{
	const struct slice at = last_of(said, "{\n  \"errorClass\"");
	complaint->json = at.len ? spark_json_parse(at) : NULL;
	complaint->name = json_object_get_string(json_object_object_get(complaint->json, "errorClass"));
	const char *const template = json_object_get_string(json_object_object_get(complaint->json, "messageTemplate"));
	if (!complaint->name || !template)
		return false;
	fill_template(slice_of(template), json_object_object_get(complaint->json, "messageParameters"),
		      &complaint->message);
	return true;
}

static int code_of(struct slice said)
{
	if (says(said, "No space left on device") || says(said, "QuotaExceededException"))
		return ERROR_NO_SPACE;
	return says(said, "java.lang.OutOfMemoryError") ? ERROR_NO_MEMORY : ERROR_SQL;
}

/* ---- models ---- */

/* The byte of `text` at which its `index`-th character begins, from 1, as Java counts them: in units of UTF-16. */
static size_t byte_of(struct slice text, int64_t index)
{
	size_t at = 0;
	for (int64_t unit = 1; unit < index && at < text.len;) {
		uint32_t codepoint = 0;
		const size_t n = utf8_step(text.data + at, text.len - at, &codepoint);
		at += n ? n : 1;
		unit += codepoint >= 0x10000 ? 2 : 1;
	}
	return at;
}

/* The place in the statement that the complaint is about. */
static bool find_place(const struct complaint *complaint, const struct spark_statement *statement, size_t *at)
{
	const struct slice sql = {statement->sql.data, statement->sql.len};
	struct json_object *const contexts = json_object_object_get(complaint->json, "queryContext");
	if (!json_object_is_type(contexts, json_type_array))
		return false;
	struct json_object *const context = json_object_array_get_idx(contexts, 0);
	const char *const type = json_object_get_string(json_object_object_get(context, "objectType"));
	const char *const fragment = json_object_get_string(json_object_object_get(context, "fragment"));
	const int64_t index = json_object_get_int64(json_object_object_get(context, "startIndex"));
	if (!type || index < 1)
		return false;
	if (!*type) {
		*at = byte_of(sql, index);
		return *at < sql.len;
	}
	/* A type: of a view. That of a model that is cached begins with its first word; another view has not the same there. */
	size_t begin = statement->model_at;
	while (begin < sql.len && strchr(" \t\r\n", sql.data[begin]))
		begin++;
	*at = begin + byte_of((struct slice){sql.data + begin, sql.len - begin}, index);
	return fragment && *fragment && strlen(fragment) <= sql.len - *at &&
	       memcmp(sql.data + *at, fragment, strlen(fragment)) == 0;
}

/* Of a syntax error Spark tells only the word at which it gave up: its place is known when the statement has it once. */
static bool find_word(const struct complaint *complaint, struct slice sql, size_t *at)
{
	struct json_object *const parameters = json_object_object_get(complaint->json, "messageParameters");
	const char *const word = json_object_get_string(json_object_object_get(parameters, "error"));
	if (strcmp(complaint->name, "PARSE_SYNTAX_ERROR") != 0 || !word || strlen(word) < 3)
		return false;
	const struct slice wanted = {word + 1, strlen(word) - 2}; /* in quotes */
	unsigned n = 0;
	struct slice rest = sql;
	struct slice token;
	while (sql_next(&rest, &token) != SQL_END) {
		if (!slice_equal(token, wanted))
			continue;
		*at = (size_t)(token.data - sql.data);
		n++;
	}
	return n == 1;
}

static int tell_of_model(const struct spark_statement *statement, const struct complaint *complaint, int code,
			 struct error *err)
{
	const struct slice sql = {statement->sql.data, statement->sql.len};
	size_t at;
	if ((!find_place(complaint, statement, &at) && !find_word(complaint, sql, &at)) || at < statement->model_at ||
	    at >= statement->model_at + statement->model.len)
		return error_set(err, code, "%s: %.*s", statement->path, (int)complaint->message.len,
				 complaint->message.data);
	/* In the file's own text, where its comments are. */
	const size_t offset = at - statement->model_at;
	const char *const model = statement->model.data;
	size_t begin = offset;
	unsigned line = 1;
	for (size_t i = 0; i < offset; i++)
		line += model[i] == '\n';
	while (begin > 0 && model[begin - 1] != '\n')
		begin--;
	const char *const end = memchr(model + begin, '\n', statement->model.len - begin);
	size_t len = end ? (size_t)(end - (model + begin)) : statement->model.len - begin;
	if (len > SHOWN_BYTES)
		len = SHOWN_BYTES;
	size_t column = 0;
	for (size_t i = begin; i < offset; i++)
		column += ((unsigned char)model[i] & 0xc0) != 0x80;
	return error_set(err, code, "%s:%u: %.*s\n    %.*s\n    %*s", statement->path, line,
			 (int)complaint->message.len, complaint->message.data, (int)len, model + begin, (int)column + 1,
			 "^");
}

/* ---- all of it ---- */

/* What our own checks and program say, inside of Spark. */
static bool find_ours(const struct complaint *complaint, const char *before, struct buf *out)
{
	const char *const at = complaint->message.len
				       ? memmem(complaint->message.data, complaint->message.len, before, strlen(before))
				       : NULL;
	if (!at)
		return false;
	const size_t from = (size_t)(at - complaint->message.data) + strlen(before);
	const char *const feed = memchr(complaint->message.data + from, '\n', complaint->message.len - from);
	const size_t end = feed ? (size_t)(feed - complaint->message.data) : complaint->message.len;
	return buf_append(out, complaint->message.data + from, end - from) == 0;
}

static int tell_complaint(const struct spark_statement *statement, const struct complaint *complaint, struct slice said,
			  struct error *err)
{
	_cleanup_buf_ struct buf ours = {0};
	if (find_ours(complaint, "punchcard-fold: ", &ours))
		return error_set(err, ERROR_CORRUPT, "the kernel on an executor could not go on: %.*s", (int)ours.len,
				 ours.data);
	if (strcmp(complaint->name, "USER_RAISED_EXCEPTION") == 0 && find_ours(complaint, "punchcard: ", &ours))
		return error_set(err, ERROR_CORRUPT, "%.*s", (int)ours.len, ours.data);
	const int code = code_of(said);
	if (statement && statement->path)
		return tell_of_model(statement, complaint, code, err);
	return error_set(err, code, "%s%s%.*s", statement ? statement->what : "", statement ? ": " : "",
			 (int)complaint->message.len, complaint->message.data);
}

/* The last line with one of the words, from there on. */
static struct slice line_with(struct slice said, const char *const *words)
{
	struct slice found = {NULL, 0};
	for (; *words && !found.len; words++)
		found = last_of(said, *words);
	const char *const feed = found.len ? memchr(found.data, '\n', found.len) : NULL;
	if (feed)
		found.len = (size_t)(feed - found.data);
	if (found.len > SHOWN_BYTES)
		found.len = SHOWN_BYTES;
	return found;
}

int spark_explain_failure(const struct spark_statement *statement, struct slice said, int status, struct error *err)
{
	static const char *const WORDS[] = {"Caused by: ", "Exception in thread \"main\" ",
					    "Error: ",     "error: ",
					    "Exception: ", " ERROR ",
					    ": line ",     NULL};
	struct complaint complaint = {0};
	if (says(said, "ERROR XSDB6"))
		return error_set(err, ERROR_LOCKED,
				 "Spark's metastore is open in another process: an embedded one (Derby) admits one at "
				 "a time; wait for it, or "
				 "name a metastore service (spark.hadoop.hive.metastore.uris) in cluster.spark.conf");
	int rc;
	if (find_complaint(said, &complaint)) {
		rc = tell_complaint(statement, &complaint, said, err);
	} else if (WIFSIGNALED(status)) {
		rc = error_set(err, ERROR_SQL, "Spark was ended by signal %d%s%s", WTERMSIG(status),
			       statement ? " while: " : "", statement ? statement->what : "");
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		rc = error_set(err, ERROR_NOT_FOUND,
			       "Spark cannot be started: it did not find a program of its own (%.*s)",
			       (int)line_with(said, WORDS).len, line_with(said, WORDS).data);
	} else {
		const struct slice line = line_with(said, WORDS);
		rc = error_set(err, code_of(said), "Spark ended with exit code %d%s%s%s%.*s", WEXITSTATUS(status),
			       statement ? " while: " : "", statement ? statement->what : "", line.len ? ": " : "",
			       (int)line.len, line.len ? line.data : "");
	}
	buf_release(&complaint.message);
	json_object_put(complaint.json);
	return rc;
}
