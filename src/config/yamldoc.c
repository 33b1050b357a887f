#include "base/file.h"
#include "config/yamldoc_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * Reading.
 */

static size_t line_of_offset(const struct yamldoc *file, size_t offset)
{
	size_t line = 1;
	for (size_t i = 0; i < offset && i < file->text.len; i++)
		line += file->text.data[i] == '\n';
	return line;
}

/* Why libyaml gave up, as "path:line: …". */
static int fail_of_parser(const struct yamldoc *file, const yaml_parser_t *parser, struct error *err)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return error_no_memory(err, file->text.len);
	if (parser->error == YAML_READER_ERROR)
		return error_set(err, ERROR_CONFIG, "%s:%zu: this is no text: %s; expected YAML in UTF-8", file->path,
				 line_of_offset(file, parser->problem_offset),
				 parser->problem ? parser->problem : "bytes that are no character");
	const size_t at = parser->problem_mark.index;
	const bool is_tab = at < file->text.len && file->text.data[at] == '\t';
	return error_set(err, ERROR_CONFIG, "%s:%zu: this is no YAML: %s%s%s%s", file->path,
			 parser->problem_mark.line + 1, parser->context ? parser->context : "",
			 parser->context ? ": " : "", parser->problem ? parser->problem : "it breaks off",
			 is_tab ? " (a tab: indent with blanks)" : "");
}

/* No key stands deeper than this by far. libyaml takes a time that grows with the square of the depth. */
#define MAX_DEPTH 32

struct pass {
	const struct yamldoc *file;
	unsigned documents;
	unsigned depth;
};

/* One event of a pass before the tree is made: is it YAML at all, one document, without aliases (which the tree hides)? */
static int check_event(struct pass *pass, const yaml_event_t *event, struct error *err)
{
	const char *const path = pass->file->path;
	const size_t line = event->start_mark.line + 1;
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return error_set(err, ERROR_CONFIG,
				 "%s:%zu: an alias (*name) is not supported here; write the value out", path, line);
	case YAML_DOCUMENT_START_EVENT:
		if (++pass->documents > 1)
			return error_set(err, ERROR_CONFIG, "%s:%zu: a second document begins here (---); expected one",
					 path, line);
		return 0;
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		if (++pass->depth > MAX_DEPTH)
			return error_set(err, ERROR_CONFIG, "%s:%zu: lists and keys are nested deeper than %d", path,
					 line, MAX_DEPTH);
		return 0;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		pass->depth--;
		return 0;
	default:
		return 0;
	}
}

static int check_events(const struct yamldoc *file, unsigned *documents, struct error *err)
{
	struct pass pass = {.file = file};
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser))
		return error_no_memory(err, sizeof(parser));
	yaml_parser_set_input_string(&parser, (const unsigned char *)file->text.data, file->text.len);
	int rc = 0;
	for (bool ended = false; rc == 0 && !ended;) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			rc = fail_of_parser(file, &parser, err);
			break;
		}
		ended = event.type == YAML_STREAM_END_EVENT;
		rc = check_event(&pass, &event, err);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	*documents = pass.documents;
	return rc;
}

static int parse_tree(struct yamldoc *file, struct error *err)
{
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser))
		return error_no_memory(err, sizeof(parser));
	yaml_parser_set_input_string(&parser, (const unsigned char *)file->text.data, file->text.len);
	int rc = 0;
	if (yaml_parser_load(&parser, &file->document))
		file->has_document = true;
	else
		rc = fail_of_parser(file, &parser, err);
	yaml_parser_delete(&parser);
	return rc;
}

static int parse_text(struct yamldoc *file, struct error *err)
{
	unsigned documents = 0;
	/* libyaml takes no NULL for no bytes. */
	const int rc = file->text.len ? check_events(file, &documents, err) : 0;
	if (rc < 0)
		return rc;
	if (documents == 0)
		return error_set(
			err, ERROR_CONFIG,
			"%s:1: the file is empty; `punchcard init` in an empty directory writes one to start from",
			file->path);
	return parse_tree(file, err);
}

static int too_large(const char *path, struct error *err)
{
	return error_set(err, ERROR_CONFIG, "%s is larger than %u bytes: this is no configuration", path,
			 YAMLDOC_MAX_BYTES);
}

int yamldoc_parse(const char *path, const void *data, size_t len, struct yamldoc *file, struct error *err)
{
	file->path = strdup(path);
	if (!file->path || buf_append(&file->text, data, len) < 0)
		return error_no_memory(err, len);
	return len > YAMLDOC_MAX_BYTES ? too_large(path, err) : parse_text(file, err);
}

int yamldoc_open(const char *path, struct yamldoc *file, struct error *err)
{
	file->path = strdup(path);
	if (!file->path)
		return error_no_memory(err, strlen(path));
	struct stat st;
	/* A FIFO would block for ever. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(err, ERROR_CONFIG, "%s is no regular file", path);
	const int rc = file_read_all(path, YAMLDOC_MAX_BYTES, &file->text, err);
	if (rc == ERROR_LIMIT)
		return too_large(path, err);
	return rc < 0 ? rc : parse_text(file, err);
}

void yamldoc_close(struct yamldoc *file)
{
	if (file->has_document)
		yaml_document_delete(&file->document);
	buf_release(&file->text);
	free(file->path);
	*file = (struct yamldoc){0};
}

/*
 * Lines of keys.
 */

struct yamldoc_key yamldoc_key(const char *format, ...)
{
	struct yamldoc_key key;
	va_list ap;
	va_start(ap, format);
	vsnprintf(key.text, sizeof(key.text), format, ap);
	va_end(ap);
	return key;
}

/* One step of a key path: a name or a place in a list. */
struct step {
	const char *name;
	size_t len;
	unsigned long place;
};

static const char *next_step(const char *at, struct step *step)
{
	if (*at == '[') {
		char *end;
		*step = (struct step){.place = strtoul(at + 1, &end, 10)};
		return *end == ']' ? end + 1 : end;
	}
	at += *at == '.';
	const size_t len = strcspn(at, ".[");
	*step = (struct step){.name = at, .len = len};
	return at + len;
}

/* The value that the step leads to, or NULL; *line becomes that of its key or item. */
static yaml_node_t *take_step(yaml_document_t *document, const yaml_node_t *from, const struct step *step, size_t *line)
{
	if (!step->name && from->type == YAML_SEQUENCE_NODE) {
		const yaml_node_item_t *const item = from->data.sequence.items.start + step->place;
		if (item >= from->data.sequence.items.top)
			return NULL;
		yaml_node_t *const value = yaml_document_get_node(document, *item);
		*line = value->start_mark.line + 1;
		return value;
	}
	if (!step->name || from->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *pair = from->data.mapping.pairs.start; pair < from->data.mapping.pairs.top;
	     pair++) {
		const yaml_node_t *const key = yaml_document_get_node(document, pair->key);
		if (key->type != YAML_SCALAR_NODE || key->data.scalar.length != step->len ||
		    memcmp(key->data.scalar.value, step->name, step->len) != 0)
			continue;
		*line = key->start_mark.line + 1;
		return yaml_document_get_node(document, pair->value);
	}
	return NULL;
}

static bool find_key(const struct yamldoc *file, struct yamldoc_key key, size_t *line)
{
	*line = 1;
	if (!file->has_document)
		return false;
	/* libyaml's getters take no const, and change nothing. */
	yaml_document_t document = file->document;
	const yaml_node_t *node = yaml_document_get_root_node(&document);
	if (node)
		*line = node->start_mark.line + 1;
	for (const char *at = key.text; node && *at;) {
		struct step step;
		at = next_step(at, &step);
		node = take_step(&document, node, &step, line);
	}
	return node != NULL;
}

bool yamldoc_has(const struct yamldoc *file, struct yamldoc_key key)
{
	size_t line;
	return find_key(file, key, &line);
}

size_t yamldoc_line(const struct yamldoc *file, struct yamldoc_key key)
{
	size_t line;
	find_key(file, key, &line);
	return line;
}

int yamldoc_fail(const struct yamldoc *file, struct error *err, struct yamldoc_key key, const char *format, ...)
{
	char message[ERROR_MESSAGE_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	return error_set(err, ERROR_CONFIG, "%s:%zu: %s%s%s", file->path, yamldoc_line(file, key), key.text,
			 *key.text ? ": " : "", message);
}

/*
 * Loading.
 */

/* libcyaml's log: its first line says what, its backtrace (innermost first) where. */
static void take_log(cyaml_log_t level, void *context, const char *format, va_list args)
{
	struct buf *const log = context;
	char line[512];
	if (level < CYAML_LOG_ERROR)
		return;
		/* libcyaml's formats are its own, and its callback has no place for the attribute. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(line, sizeof(line), format, args);
#pragma GCC diagnostic pop
	/* Out of memory here only shortens a message. */
	(void)buf_append_text(log, line);
}

static int fail_of_cyaml(const struct yamldoc *file, cyaml_err_t code, struct buf *log, struct error *err)
{
	if (code == CYAML_ERR_OOM)
		return error_no_memory(err, file->text.len);
	const char *text = buf_text(log);
	text = text ? text : "";
	const char *const place = strstr(text, "line: ");
	const unsigned long line = place ? strtoul(place + strlen("line: "), NULL, 10) : 1;
	if (strncmp(text, "Load: ", 6) == 0)
		text += 6;
	return error_set(err, ERROR_CONFIG, "%s:%lu: %s: %.*s", file->path, line, cyaml_strerror(code),
			 (int)strcspn(text, "\n"), text);
}

static const cyaml_config_t LOADER = {
	.mem_fn = cyaml_mem,
	.log_fn = take_log,
	.log_level = CYAML_LOG_ERROR,
	.flags = CYAML_CFG_NO_ALIAS,
};

int yamldoc_load(const struct yamldoc *file, const cyaml_schema_value_t *schema, const struct yamldoc_rule *rules,
		 void **data, struct error *err)
{
	const int rc = yamldoc_check(file, schema, rules, err);
	if (rc < 0)
		return rc;
	_cleanup_buf_ struct buf log = {0};
	cyaml_config_t loader = LOADER;
	loader.log_ctx = &log;
	void *loaded = NULL;
	const cyaml_err_t code =
		cyaml_load_data((const uint8_t *)file->text.data, file->text.len, &loader, schema, &loaded, NULL);
	if (code != CYAML_OK)
		return fail_of_cyaml(file, code, &log, err);
	*data = loaded;
	return 0;
}

void yamldoc_free(const cyaml_schema_value_t *schema, void *data)
{
	cyaml_config_t loader = LOADER;
	loader.log_fn = NULL;
	cyaml_free(&loader, schema, data, 0);
}
