/*
 * A YAML file, its text, its tree and the lines of its keys; checked against a libcyaml schema before libcyaml loads it.
 *
 *     struct yamldoc file = {0};
 *     rc = yamldoc_open(path, &file, err);
 *     if (rc == 0)
 *             rc = yamldoc_load(&file, &SCHEMA, RULES, &data, err);
 *     if (rc == 0 && …)
 *             rc = yamldoc_fail(&file, err, yamldoc_key("sources[%u].name", i), "'%s' is there twice", name);
 *     yamldoc_close(&file);
 *
 * libcyaml stops at the first thing it does not like and says so in its own terms; the check before it names the key by its
 * whole path, the line, and what was expected. Keys are written like "sources[0].name".
 *
 * (Not yaml_…: libyaml has a yaml_free of its own, and a symbol of that name here could take its place.)
 */
#ifndef PUNCHCARD_CONFIG_YAMLDOC_INTERNAL_H
#define PUNCHCARD_CONFIG_YAMLDOC_INTERNAL_H

#include "base/buf.h"
#include "base/error.h"

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stdint.h>
#include <yaml.h>

/* A configuration of 1 MiB would have some 20,000 lines: it is another file. */
#define YAMLDOC_MAX_BYTES (1024u * 1024u)
/* Bytes of one value. */
#define YAMLDOC_MAX_VALUE_BYTES 256u
#define YAMLDOC_KEY_BYTES       192u

struct yamldoc {
	char *path;
	struct buf text;
	yaml_document_t document;
	bool has_document;
};

/* A key path, made by yamldoc_key (printf style; cut at its size). */
struct yamldoc_key {
	char text[YAMLDOC_KEY_BYTES];
};
struct yamldoc_key yamldoc_key(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a key wants. Rules end with one whose key is NULL. */
struct yamldoc_rule {
	const char *key;      /* its path, list places empty: "sources[].settle_ms" */
	const char *expected; /* what stands behind "expected " in a message */
	uint32_t min;         /* of whole numbers */
	uint32_t max;         /* of whole numbers; of a text its bytes, 0: YAMLDOC_MAX_VALUE_BYTES */
};

/* Reads and parses. ERROR_CONFIG: no YAML, more than one document, an alias, too large, empty, no regular file;
 * ERROR_NOT_FOUND, ERROR_IO. `file` must be zero; yamldoc_close in any case. */
int yamldoc_open(const char *path, struct yamldoc *file, struct error *err);
/* The same from memory; `path` is for messages. */
int yamldoc_parse(const char *path, const void *data, size_t len, struct yamldoc *file, struct error *err);
void yamldoc_close(struct yamldoc *file);

/* Checks the tree against schema and rules and lets libcyaml load it. *data is the caller's, to be freed by yamldoc_free. */
int yamldoc_load(const struct yamldoc *file, const cyaml_schema_value_t *schema, const struct yamldoc_rule *rules,
		 void **data, struct error *err);
void yamldoc_free(const cyaml_schema_value_t *schema, void *data);
/* The first half of yamldoc_load: ERROR_CONFIG or 0. */
int yamldoc_check(const struct yamldoc *file, const cyaml_schema_value_t *schema, const struct yamldoc_rule *rules,
		  struct error *err);

/* Whether the file has this key. */
bool yamldoc_has(const struct yamldoc *file, struct yamldoc_key key);
/* The line of a key, counted from 1; of the nearest thing around it when it is not there. */
size_t yamldoc_line(const struct yamldoc *file, struct yamldoc_key key);
/* Sets "path:line: key: <message>" and returns ERROR_CONFIG. */
int yamldoc_fail(const struct yamldoc *file, struct error *err, struct yamldoc_key key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
