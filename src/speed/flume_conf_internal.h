/*
 * What the parts of the reading of a Flume agent share.
 *
 *     flume_conf.c      agents, components, remarks
 *     flume_keys.c      which keys a type has, and what they mean here
 *     flume_sources.c   values of sources
 *     flume_sinks.c     values of sinks, limits of channels
 *     flume_places.c    where sinks put what they take
 *     flume_pattern.c   Java's regular expressions as patterns of ours
 */
#ifndef PUNCHCARD_SPEED_FLUME_CONF_INTERNAL_H
#define PUNCHCARD_SPEED_FLUME_CONF_INTERNAL_H

#include "speed/flume_conf.h"

struct flume_type_rule {
	enum flume_type type;
	enum flume_part part;
	const char *names; /* blanks between; in any case, or as class names */
};

/* NULL: no such type is known here. */
const struct flume_type_rule *flume_type_find(enum flume_part part, const char *name);
/* Says of each key of the component what becomes of it, but for those that its type's function says (FLUME_TAKEN in the table are
 * said, too). */
int flume_check_keys(struct flume_agent *agent, const struct flume_component *component, struct error *err);

/* flume_conf.c; all int: 0 or ERROR_NO_MEMORY. */

const char *flume_part_name(enum flume_part part); /* "sources" */
/* `item` may be NULL: of the component itself (or, where that is NULL too, of the agent). */
int flume_say(struct flume_agent *agent, enum flume_verdict verdict, const struct flume_component *component,
	      const struct flume_property *item, struct error *err, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
/* The component's key; NULL: not set. */
const struct flume_property *flume_get(const struct flume_agent *agent, const struct flume_component *component,
				       const char *key);
/* Its value, or `otherwise`. */
const char *flume_text(const struct flume_agent *agent, const struct flume_component *component, const char *key,
		       const char *otherwise);
/* A whole number of 0 or more; anything else is refused, and gives `otherwise`. */
int flume_number(struct flume_agent *agent, const struct flume_component *component, const char *key,
		 uint64_t otherwise, uint64_t *out, struct error *err);
/* As Java's Boolean: "true" in any case, all else is false. */
bool flume_is_true(const struct flume_agent *agent, const struct flume_component *component, const char *key);
/* The i-th word, from 0; false: there are no more. */
bool flume_word(const char *text, unsigned i, struct slice *word);
/* Heap name of a source in the journal and in transactions_cln: [a-z0-9_-], at most 64 bytes. `group` may be empty. */
char *flume_source_name(const struct flume_agent *agent, const struct flume_component *source, struct slice group);

/* flume_sources.c, flume_sinks.c: fill agent->sources and agent->sinks. */
int flume_make_source(struct flume_agent *agent, const struct flume_component *source, struct error *err);
int flume_make_sink(struct flume_agent *agent, const struct flume_component *component, struct error *err);
/* flume_places.c. Of an hdfs.path: sets sink->dir, in_warehouse and on_cluster. */
int flume_take_path(struct flume_agent *agent, const struct flume_component *component,
		    const struct flume_property *item, struct sink *sink, struct error *err);
/* Refuses a table of punchcard's own. */
int flume_check_table(struct flume_agent *agent, const struct flume_component *component,
		      const struct flume_property *table, const struct sink *sink, struct error *err);
int flume_check_limits(struct flume_agent *agent, struct error *err);

/* flume_pattern.c */

/* A regular expression of Java's that must match a whole name as POSIX's extended one, appended to out. 1: done; 0: it has something
 * that cannot be said so (*what, static); ERROR_NO_MEMORY. */
int flume_regex(const char *java, struct buf *out, const char **what);
/* Likewise as a pattern of fnmatch. */
int flume_glob(const char *java, struct buf *out, const char **what);

#endif
