/* Statements for Spark, with where the models among them came from. */
#include "engine/spark_internal.h"

#include "base/file.h"
#include "engine/lex.h"

#include <stdlib.h>

/* A model is read by people. */
#define MODEL_BYTES_MAX (1024u * 1024u)

struct spark_script *spark_script_new(void)
{
	return calloc(1, sizeof(struct spark_script));
}

static void release(struct spark_statement *statement)
{
	free(statement->what);
	free(statement->path);
	buf_release(&statement->sql);
	buf_release(&statement->model);
}

void spark_script_free(struct spark_script *script)
{
	if (!script)
		return;
	for (unsigned i = 0; i < script->n; i++)
		release(&script->statements[i]);
	free(script->statements);
	free(script);
}

struct spark_statement *spark_script_new_statement(struct spark_script *script, const char *what)
{
	if (script->n == script->cap) {
		const unsigned cap = script->cap ? script->cap * 2 : 16;
		struct spark_statement *const statements = realloc(script->statements, cap * sizeof(*statements));
		if (!statements)
			return NULL;
		script->statements = statements;
		script->cap = cap;
	}
	struct spark_statement *const statement = &script->statements[script->n];
	*statement = (struct spark_statement){.what = text_printf("%s", what)};
	return statement->what ? statement : NULL;
}

int spark_script_add(struct spark_script *script, const char *what, const char *sql, struct error *err)
{
	struct spark_statement *const statement = spark_script_new_statement(script, what);
	if (!statement)
		return error_no_memory(err, sizeof(*statement));
	script->n++;
	return buf_append_text(&statement->sql, sql) < 0 ? error_no_memory(err, strlen(sql)) : 0;
}

int spark_script_add_rows(struct spark_script *script, const char *what, const char *select, struct error *err)
{
	_cleanup_free_ char *sql = text_printf(SPARK_ROWS_BEFORE "%s" SPARK_ROWS_AFTER, select);
	const int rc = sql ? spark_script_add(script, what, sql, err) : error_no_memory(err, strlen(select));
	if (rc == 0)
		script->statements[script->n - 1].rows = true;
	return rc;
}

/* ---- models ---- */

/* Comments become blanks, lines stay: Spark's shell splits its file at semicolons, and looks into comments for quotes.
 * A final semicolon goes. ERROR_SQL: nothing is left, or more than one statement. */
static int blank_comments(struct buf *text)
{
	struct slice rest = {text->data, text->len};
	struct slice token;
	bool found = false;
	bool ended = false;
	for (;;) {
		const enum sql_token kind = sql_next(&rest, &token);
		char *const at = text->data + (token.data - text->data);
		if (kind == SQL_END)
			return found ? 0 : ERROR_SQL;
		if (kind == SQL_BLANK) {
			for (size_t i = 0; i < token.len; i++)
				at[i] = at[i] == '\n' ? '\n' : ' ';
		} else if (kind == SQL_SEMICOLON) {
			at[0] = ' ';
			ended = found;
		} else {
			if (ended)
				return ERROR_SQL;
			found = true;
		}
	}
}

static int wrap_model(struct spark_statement *statement, const char *before, const char *after, struct error *err)
{
	_cleanup_buf_ struct buf blank = {0};
	if (buf_append(&blank, statement->model.data, statement->model.len) < 0)
		return error_no_memory(err, statement->model.len);
	if (blank_comments(&blank) < 0)
		return error_set(err, ERROR_SQL, "%s: a model is one SELECT; here is none, or more than one",
				 statement->path);
	struct buf *const sql = &statement->sql;
	if (buf_append_text(sql, before) < 0 || buf_append_text(sql, "\n") < 0)
		return error_no_memory(err, blank.len);
	statement->model_at = sql->len;
	return buf_append(sql, blank.data, blank.len) < 0 || buf_append_text(sql, "\n") < 0 ||
			       buf_append_text(sql, after) < 0
		       ? error_no_memory(err, blank.len)
		       : 0;
}

int spark_script_add_model(struct spark_script *script, const char *models_dir, const char *name, const char *before,
			   const char *after, struct error *err)
{
	_cleanup_free_ char *what = text_printf("models/%s.sql", name);
	struct spark_statement *const statement = what ? spark_script_new_statement(script, what) : NULL;
	if (!statement)
		return error_no_memory(err, sizeof(*statement));
	script->n++;
	statement->path = text_printf("%s/%s.sql", models_dir, name);
	if (!statement->path)
		return error_no_memory(err, strlen(models_dir) + strlen(name));
	const int rc = file_read_all(statement->path, MODEL_BYTES_MAX, &statement->model, err);
	if (rc < 0)
		return rc;
	if (statement->model.len == 0 || memchr(statement->model.data, '\0', statement->model.len))
		return error_set(err, ERROR_SQL, "%s: a model is one SELECT, a text; here is none", statement->path);
	return wrap_model(statement, before, after, err);
}

/* ---- as text ---- */

unsigned spark_script_count(const struct spark_script *script)
{
	return script->n;
}

int spark_script_text(const struct spark_script *script, struct buf *out)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < script->n; i++) {
		rc = buf_printf(out, "SELECT '" SPARK_MARK "%u';\n", i);
		if (rc == 0)
			rc = buf_append(out, script->statements[i].sql.data, script->statements[i].sql.len);
		if (rc == 0)
			rc = buf_append_text(out, ";\n");
	}
	return rc < 0 ? rc : buf_printf(out, "SELECT '" SPARK_MARK "%u';\n", script->n);
}
