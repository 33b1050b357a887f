/*
 * The file of metrics.h. Numbers in the machine's own byte order: it is read on the machine that writes it.
 *
 *     offset  bytes      what
 *          0      8      METRICS_MAGIC
 *          8      4      METRICS_LAYOUT: another one is another version's
 *         12      4      the file's size: sizeof(struct metrics_file)
 *         16    …        the daemon, the journal, and how many slots are in use
 *       256    …         METRICS_SOURCES slots, then METRICS_CONSUMERS slots
 *
 * Valid are those slots that n_sources and n_consumers count; these are stored behind a slot's name (release), and read before
 * it (acquire). Whatever changes this layout changes METRICS_LAYOUT.
 */
#ifndef PUNCHCARD_SPEED_METRICS_INTERNAL_H
#define PUNCHCARD_SPEED_METRICS_INTERNAL_H

#include "speed/metrics.h"

#define METRICS_MAGIC  "pcmetric"
#define METRICS_LAYOUT 1u

struct metrics_file {
	char magic[8];
	uint32_t layout;
	uint32_t size_bytes;
	int64_t pid;
	int64_t started_us;
	_Atomic int64_t heartbeat_us;
	_Atomic uint64_t state;
	_Atomic uint64_t used_bytes;
	_Atomic uint64_t backlog_bytes;
	_Atomic uint64_t first_block;
	_Atomic uint64_t next_block;
	_Atomic uint64_t trimmed;
	_Atomic uint64_t n_sources;
	_Atomic uint64_t n_consumers;
	_Atomic uint64_t left_out;
	_Alignas(256) struct metrics_source sources[METRICS_SOURCES];
	struct metrics_consumer consumers[METRICS_CONSUMERS];
};

/* <data_dir>/run/metrics, on the heap; NULL when out of memory. Caller frees. */
char *metrics_path(const char *data_dir);
/* Replaces the text; one thread at a time. */
void metrics_text_set(struct metrics_text *text, const char *value);
/* Copies what stands there: a whole text, unless it is replaced faster than it can be read; with a NUL in any case. */
void metrics_text_get(const struct metrics_text *text, char out[METRICS_ERROR_MAX]);

#endif
