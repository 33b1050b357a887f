/*
 * A properties file, as Flume's own reader takes it.
 *
 *     struct flume_properties *properties = NULL;
 *     rc = flume_properties_parse(text, "tier1.conf", NULL, &properties, err);
 *     const struct flume_property *p = flume_properties_find(properties, SLICE("tier1.sources"));
 *     flume_properties_free(properties);
 *
 * Java properties: ISO-8859-1, \uXXXX, \t \n \r \f, a backslash before any other letter goes away; key and value are parted by the
 * first '=', ':' or blank; a line that ends with a backslash goes on in the next one, whose leading blanks go away; '#' and '!'
 * begin a comment at the start of a line only. As Flume does it, blanks at both ends of a value go away, and so does a key without
 * a value. The later one of two with the same key wins.
 *
 * In values ${name} is the value of that other key, ${env:X} of the environment, ${sys:x} of what Java calls system properties
 * (user.home, user.name, user.dir, java.io.tmpdir, file.separator, path.separator); ${…:-text} is the text when there is none, and
 * without it stays as it is written; $${…} is ${…} as it is. Values that are put in are looked at again.
 *
 * Keys and values are UTF-8 without NUL. Threads: any; one at a time for one of them.
 */
#ifndef PUNCHCARD_SPEED_FLUME_PROPERTIES_H
#define PUNCHCARD_SPEED_FLUME_PROPERTIES_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

/* A whole file; a large one of a company with dozens of agents has some 100 KiB. */
#define FLUME_PROPERTIES_BYTES_MOST (4u * 1024u * 1024u)

struct flume_property {
	char *key;
	char *value;
	unsigned line;         /* where it begins, from 1 */
	unsigned earlier_line; /* of one with the same key that it replaces; 0: there is none */
	bool has_unset;        /* a ${…} of it could not be looked up */
};

struct flume_properties {
	char *path;                   /* for messages */
	struct flume_property *items; /* by key, in the order of bytes */
	unsigned n;
	unsigned latin1_line; /* the first with a byte beyond ASCII, which is read as ISO-8859-1; 0: there is none */
};

/* What a ${…} stands for, or NULL when it is not set. For tests; the result lives as long as the properties are made. */
struct flume_lookup {
	const char *(*env)(void *context, const char *name);
	const char *(*sys)(void *context, const char *name);
	void *context;
};

/* `lookup` may be NULL: the process's. ERROR_CONFIG "path:line: …": a malformed \uXXXX, a NUL, values that name each other in a
 * circle, or too large; ERROR_NO_MEMORY. */
int flume_properties_parse(struct slice text, const char *path, const struct flume_lookup *lookup,
			   struct flume_properties **out, struct error *err);
/* The same of a file; also its errors. */
int flume_properties_read(const char *path, struct flume_properties **out, struct error *err);
void flume_properties_free(struct flume_properties *properties);
/* NULL when there is none. */
const struct flume_property *flume_properties_find(const struct flume_properties *properties, struct slice key);

#endif
