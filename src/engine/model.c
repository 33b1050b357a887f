/* Models: SQL files of the deployment, run inside a statement of ours, with errors that name the file's own line. */
#include "engine/engine_internal.h"

#include "base/file.h"
#include "engine/lex.h"

#include <stdlib.h>

/* A model is read by people. */
#define MODEL_BYTES_MAX (1024u * 1024u)

/* Blanks out the semicolons that end statements: the model goes into parentheses. Returns whether there is anything else
 * than blanks, comments and semicolons. */
static bool blank_semicolons(struct buf *text)
{
	bool found = false;
	struct slice rest = {text->data, text->len};
	struct slice token;
	for (;;) {
		switch (sql_next(&rest, &token)) {
		case SQL_END:
			return found;
		case SQL_BLANK:
			break;
		case SQL_SEMICOLON:
			text->data[token.data - text->data] = ' ';
			break;
		case SQL_WORD:
		case SQL_OTHER:
			found = true;
			break;
		}
	}
}

/* `text` is NUL-terminated. Parsed alone first: then a syntax error has the model's own line, and the model cannot close our parenthesis. */
static int check_model(struct engine *engine, struct buf *text, struct error *err)
{
	if (text->len == 0)
		return error_set(err, ERROR_SQL, "a model is one SELECT; here is none");
	duckdb_extracted_statements statements = NULL;
	const idx_t count = duckdb_extract_statements(engine->connection, text->data, &statements);
	const char *const message = duckdb_extract_statements_error(statements);
	int rc = 0;
	if (count == 0 && message)
		rc = engine_translate(engine, DUCKDB_ERROR_INVALID, message, err);
	else if (count > 1)
		rc = error_set(err, ERROR_SQL, "a model is one SELECT; here are %u statements", (unsigned)count);
	duckdb_destroy_extracted(&statements);
	if (rc == 0 && !blank_semicolons(text))
		rc = error_set(err, ERROR_SQL, "a model is one SELECT; here is none");
	return rc;
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;
	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* Puts file and line before the message, by "LINE n: …" in it, and shows the line without that. `first` is the statement's
 * line at which the model begins, `lines` how many it has. */
static int place_error(const char *path, unsigned first, unsigned lines, struct error *err)
{
	if (!err)
		return ERROR_SQL;
	const struct error old = *err;
	const char *const hint = strstr(old.message, "LINE ");
	char *after = NULL;
	const unsigned long line = hint ? strtoul(hint + strlen("LINE "), &after, 10) : 0;
	if (!hint || after[0] != ':' || after[1] != ' ' || line < first || line >= first + lines)
		return error_prefix(err, "%s", path);
	const char *const source = after + 2;
	const int margin = (int)(source - hint);
	const int source_len = (int)strcspn(source, "\n");
	const char *caret = source + source_len;
	if (*caret == '\n')
		caret++;
	for (int i = 0; i < margin && *caret == ' '; i++)
		caret++;
	int text_len = (int)(hint - old.message);
	while (text_len > 0 && old.message[text_len - 1] == '\n')
		text_len--;
	return error_set(err, old.code, "%s:%lu: %.*s\n    %.*s\n    %s", path, line - first + 1, text_len, old.message,
			 source_len, source, caret);
}

static int wrap_model(struct buf *sql, const struct buf *model, const char *before, const char *after,
		      struct error *err)
{
	if (buf_append_text(sql, before) < 0 || buf_append(sql, "\n", 1) < 0 ||
	    buf_append(sql, model->data, model->len) < 0 || buf_append(sql, "\n", 1) < 0 ||
	    buf_append_text(sql, after) < 0 || !buf_text(sql))
		return error_no_memory(err, model->len);
	return 0;
}

int engine_run_model(struct engine *engine, const char *models_dir, const char *name, const char *before,
		     const char *after, struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s/%s.sql", models_dir, name);
	if (!path)
		return error_no_memory(err, strlen(models_dir) + strlen(name));
	_cleanup_buf_ struct buf model = {0};
	_cleanup_buf_ struct buf sql = {0};
	int rc = file_read_all(path, MODEL_BYTES_MAX, &model, err);
	if (rc < 0)
		return rc;
	if (memchr(model.data ? model.data : "", '\0', model.len))
		return error_set(err, ERROR_SQL, "%s: holds a NUL byte; a model is text", path);
	const char *const text = buf_text(&model);
	if (!text)
		return error_no_memory(err, model.len);
	const unsigned model_lines = count_lines(text) + 1;
	rc = engine_prelude(engine, text, err);
	if (rc == 0)
		rc = engine_begin(engine, err);
	if (rc < 0)
		return rc;
	rc = check_model(engine, &model, err);
	if (rc < 0)
		return place_error(path, 1, model_lines, err);
	rc = wrap_model(&sql, &model, before, after, err);
	if (rc < 0)
		return rc;
	rc = engine_run(engine, sql.data, err);
	if (rc != ERROR_SQL)
		return rc;
	return place_error(path, count_lines(before) + 2, model_lines, err);
}
