/*
 * A YAML file, its text, its tree and the lines of its keys; checked against a libcyaml schema before libcyaml loads it.
 *
 *     struct yaml_file file = {0};
 *     rc = yaml_open(path, &file, err);
 *     if (rc == 0)
 *             rc = yaml_load(&file, &SCHEMA, RULES, &data, err);
 *     if (rc == 0 && …)
 *             rc = yaml_fail(&file, err, yaml_key("sources[%u].name", i), "'%s' is there twice", name);
 *     yaml_close(&file);
 *
 * libcyaml stops at the first thing it does not like and says so in its own terms; the check before it names the key by its
 * whole path, the line, and what was expected. Keys are written like "sources[0].name".
 */
#ifndef PUNCHCARD_CONFIG_YAML_INTERNAL_H
#define PUNCHCARD_CONFIG_YAML_INTERNAL_H

#include "base/buf.h"
#include "base/error.h"

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stdint.h>
#include <yaml.h>

/* A configuration of 1 MiB would have some 20,000 lines: it is another file. */
#define YAML_MAX_BYTES (1024u * 1024u)
/* Bytes of one value. */
#define YAML_MAX_VALUE_BYTES 256u
#define YAML_KEY_BYTES       192u

struct yaml_file {
	char *path;
	struct buf text;
	yaml_document_t document;
	bool has_document;
};

/* A key path, made by yaml_key (printf style; cut at its size). */
struct yaml_key {
	char text[YAML_KEY_BYTES];
};
struct yaml_key yaml_key(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a key wants. Rules end with one whose key is NULL. */
struct yaml_rule {
	const char *key;      /* its path, list places empty: "sources[].settle_ms" */
	const char *expected; /* what stands behind "expected " in a message */
	uint32_t min;         /* of whole numbers */
	uint32_t max;
};

/* Reads and parses. ERROR_CONFIG: no YAML, more than one document, an alias, too large, empty, no regular file;
 * ERROR_NOT_FOUND, ERROR_IO. `file` must be zero; yaml_close in any case. */
int yaml_open(const char *path, struct yaml_file *file, struct error *err);
/* The same from memory; `path` is for messages. */
int yaml_parse(const char *path, const void *data, size_t len, struct yaml_file *file, struct error *err);
void yaml_close(struct yaml_file *file);

/* Checks the tree against schema and rules and lets libcyaml load it. *data is the caller's, to be freed by yaml_free. */
int yaml_load(const struct yaml_file *file, const cyaml_schema_value_t *schema, const struct yaml_rule *rules,
	      void **data, struct error *err);
void yaml_free(const cyaml_schema_value_t *schema, void *data);
/* The first half of yaml_load: ERROR_CONFIG or 0. */
int yaml_check(const struct yaml_file *file, const cyaml_schema_value_t *schema, const struct yaml_rule *rules,
	       struct error *err);

/* Whether the file has this key. */
bool yaml_has(const struct yaml_file *file, struct yaml_key key);
/* The line of a key, counted from 1; of the nearest thing around it when it is not there. */
size_t yaml_line(const struct yaml_file *file, struct yaml_key key);
/* Sets "path:line: key: <message>" and returns ERROR_CONFIG. */
int yaml_fail(const struct yaml_file *file, struct error *err, struct yaml_key key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
