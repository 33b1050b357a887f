#include "serving/status.h"

#include "base/input.h"
#include "base/limits.h"
#include "batch/committed.h"
#include "speed/kafka_position.h"
#include "speed/shipper.h"
#include "speed/sink.h"
#include "speed/view_writer.h"
#include "store/block.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MICROS INT64_C(1000000)

/* Positions. */

struct position_walk {
	struct status *status;
	struct status_source *last; /* that one was of */
	int rc;
	struct error *err;
};

/* What the key of a position tells of its source's type; NULL: nothing. */
static const char *type_by_key(struct slice behind_name)
{
	/* S NUL NUL and a letter where it is no file of a spool. */
	if (behind_name.len < 2 || behind_name.data[0])
		return config_source_type_name(SOURCE_SPOOL);
	return behind_name.data[1] == 't'   ? config_source_type_name(SOURCE_TAIL)
	       : behind_name.data[1] == 'k' ? config_source_type_name(SOURCE_KAFKA)
					    : NULL;
}

static struct status_source *add_source(struct status *status, struct slice name, const char *type)
{
	struct status_source *const sources =
		reallocarray(status->sources, status->n_sources + 1u, sizeof(*status->sources));
	struct config_source *const own = calloc(1, sizeof(*own));
	if (sources)
		status->sources = sources;
	if (own)
		own->name = slice_dup(name);
	if (!sources || !own || !own->name) {
		if (own)
			free(own->name);
		free(own);
		return NULL;
	}
	struct status_source *const source = &sources[status->n_sources++];
	*source = (struct status_source){.source = own, .own = own, .type = type};
	return source;
}

static struct status_source *source_of(struct position_walk *walk, struct slice key)
{
	struct status *const status = walk->status;
	const struct slice name = {key.data, strnlen(key.data, key.len)};
	if (walk->last && slice_is(name, walk->last->source->name))
		return walk->last;
	walk->last = NULL;
	for (unsigned i = 0; !walk->last && i < status->n_sources; i++)
		if (slice_is(name, status->sources[i].source->name))
			walk->last = &status->sources[i];
	if (!walk->last) {
		const size_t len = name.len < key.len ? name.len + 1 : key.len;
		walk->last = add_source(status, name, type_by_key((struct slice){key.data + len, key.len - len}));
	}
	if (!walk->last)
		walk->rc = error_no_memory(walk->err, sizeof(*walk->last));
	return walk->last;
}

static int add_position(void *context, struct slice key, struct slice stored)
{
	struct position_walk *const walk = context;
	struct intake_position position;
	struct kafka_position kafka;
	unsigned char digest[INPUT_DIGEST_BYTES];
	/* Of a sink, a shipper, or how often a text's name was had. */
	if (!key.len || key.data[0] < ' ')
		return 0;
	struct status_source *const s = source_of(walk, key);
	if (!s)
		return 1;
	if (intake_position_decode(stored, &position, digest) < 0) {
		walk->rc = error_set(walk->err, ERROR_CORRUPT, "a position of source %s in the journal is damaged",
				     s->source->name);
		return 1;
	}
	if (kafka_position_decode(stored, &kafka) == 0)
		s->lost += kafka.lost;
	if (position.complete)
		s->files++;
	else
		s->files_open++;
	s->bytes += position.bytes;
	intake_counts_add(&s->counts, &position.counts);
	if (position.time_us > s->last_us)
		s->last_us = position.time_us;
	return 0;
}

static int read_positions(struct journal_reader *reader, struct status *status, struct error *err)
{
	struct position_walk walk = {.status = status, .err = err};
	const int rc = journal_reader_positions(reader, (struct slice){NULL, 0}, add_position, &walk, err);
	return rc < 0 ? rc : walk.rc;
}

struct waiting {
	const struct deployment *deployment;
	struct status_source *source;
	char *dir; /* of the source */
};

static int count_files(struct waiting *waiting, const char *in, struct error *err);

/* `name`: below the source's directory. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the longest path
static int count_entry(struct waiting *waiting, int dir_fd, const char *own, const char *name, struct error *err)
{
	struct status_source *const s = waiting->source;
	size_t base_len;
	struct stat st;
	const bool is_file = intake_wants(s->source, own, &base_len) && base_len == 0;
	if ((!is_file && !s->source->recursive) || fstatat(dir_fd, own, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISDIR(st.st_mode) && s->source->recursive && !intake_ignores_dir(waiting->deployment, s->source, name))
		return count_files(waiting, name, err);
	s->files_waiting += is_file && S_ISREG(st.st_mode);
	return 0;
}

/* Those of a directory below the source's; "": its own. */
// NOLINTNEXTLINE(misc-no-recursion): as above
static int count_files(struct waiting *waiting, const char *in, struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s%s%s", waiting->dir, *in ? "/" : "", in);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	DIR *const entries = opendir(path);
	if (!entries) {
		waiting->source->unreadable = waiting->source->unreadable || !*in || errno != ENOENT;
		return 0;
	}
	int rc = 0;
	struct dirent *entry;
	while (rc == 0 && (entry = readdir(entries))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		_cleanup_free_ char *name = text_printf("%s%s%s", in, *in ? "/" : "", entry->d_name);
		rc = name ? count_entry(waiting, dirfd(entries), entry->d_name, name, err)
			  : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	closedir(entries);
	return rc;
}

/* Files that collect would take now, of a spool. */
static int count_waiting(const struct deployment *deployment, struct status_source *s, struct error *err)
{
	if (s->source->type != SOURCE_SPOOL)
		return 0;
	_cleanup_free_ char *dir = deployment_path(deployment, s->source->dir);
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	return count_files(&(struct waiting){.deployment = deployment, .source = s, .dir = dir}, "", err);
}

/* The journal and its consumers. */

static int lag(struct journal_reader *reader, uint64_t offset, uint64_t first, uint64_t next, uint64_t *lines,
	       struct error *err)
{
	struct block_counts sum;
	const int rc = journal_reader_count(reader, offset < first ? first : offset, next, UINT64_MAX, &sum, NULL, err);
	if (rc == 0)
		*lines = sum.n_lines + sum.n_quarantined;
	return rc;
}

static int add_consumer(struct status *status, struct slice name, uint64_t offset)
{
	struct status_consumer *const consumers =
		reallocarray(status->consumers, status->n_consumers + 1, sizeof(*consumers));
	if (!consumers)
		return ERROR_NO_MEMORY;
	status->consumers = consumers;
	char *const own = slice_dup(name);
	if (!own)
		return ERROR_NO_MEMORY;
	consumers[status->n_consumers++] = (struct status_consumer){.name = own, .offset = offset};
	return 0;
}

struct consumers_walk {
	struct status *status;
	bool failed;
};

static int on_consumer(void *context, struct slice name, uint64_t offset)
{
	struct consumers_walk *const walk = context;
	walk->failed = add_consumer(walk->status, name, offset) < 0;
	return walk->failed;
}

static int on_shipper(void *context, struct slice name, const struct shipper_position *at)
{
	return on_consumer(context, name, at->offset);
}

static int add_others(struct journal_reader *reader, struct status *status, struct error *err)
{
	struct consumers_walk walk = {.status = status};
	int rc = status->on_cluster ? shippers_each(reader, on_shipper, &walk, err) : 0;
	if (rc == 0 && !walk.failed)
		rc = sinks_each(reader, on_consumer, &walk, err);
	return rc == 0 && walk.failed ? error_no_memory(err, sizeof(*status->consumers)) : rc;
}

/* The blocks that the slowest consumer has not taken. */
static int backlog(struct journal_reader *reader, const struct status *status, uint64_t first, uint64_t *bytes,
		   struct error *err)
{
	uint64_t seq = status->next_block;
	for (unsigned i = 0; i < status->n_consumers; i++)
		if (status->consumers[i].offset < seq)
			seq = status->consumers[i].offset;
	uint64_t sum = 0;
	for (seq = seq < first ? first : seq; seq < status->next_block; seq++) {
		struct slice block;
		const int rc = journal_reader_block(reader, seq, &block, err);
		if (rc < 0)
			return rc;
		sum += block.len;
	}
	*bytes = sum;
	return 0;
}

static int read_journal(const struct deployment *deployment, struct status *status, struct error *err)
{
	const struct journal_options options = {.map_gib = deployment->config->journal_map_gib, .read_only = true};
	struct journal *journal = NULL;
	struct journal_reader *reader = NULL;
	struct journal_totals totals;
	uint64_t first;
	int rc = journal_open(deployment->journal_dir, &options, &journal, err);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc == 0)
		rc = journal_reader_open(journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_range(reader, &first, &status->next_block, err);
	if (rc == 0)
		rc = journal_reader_totals(reader, &totals, err);
	if (rc == 0)
		rc = journal_reader_sizes(reader, &status->journal_bytes, &status->journal_file_bytes, err);
	if (rc == 0 && !status->on_cluster)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, &status->consumers[0].offset, err);
	if (rc == 0)
		rc = add_others(reader, status, err);
	for (unsigned i = 0; rc == 0 && i < status->n_consumers; i++)
		rc = lag(reader, status->consumers[i].offset, first, status->next_block,
			 &status->consumers[i].lag_lines, err);
	if (rc == 0)
		rc = backlog(reader, status, first, &status->backlog_bytes, err);
	if (rc == 0)
		rc = read_positions(reader, status, err);
	if (rc == 0) {
		status->blocks = status->next_block - first;
		status->transactions = totals.lines;
		status->orders = totals.events;
		status->quarantined = totals.quarantined;
	}
	journal_reader_close(reader);
	journal_close(journal);
	return rc;
}

static int read_view(const struct deployment *deployment, struct status *status, struct error *err)
{
	struct view *view = NULL;
	int rc = view_writer_open_view(deployment, true, &view, err);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc == 0)
		rc = view_read_begin(view, err);
	if (rc == 0)
		rc = view_counts(view, &status->customers, &status->accounts, err);
	if (rc == 0)
		rc = view_marked_count(view, &status->marked, err);
	if (rc == 0)
		rc = view_writer_other_hash(view, deployment->programme, status->other_programme, err);
	if (rc == 0)
		rc = view_offset(view, &status->consumers[1].offset, err);
	view_close(view);
	return rc;
}

static void read_loyalty(const char *dir, struct status *status)
{
	DIR *const entries = opendir(dir);
	if (!entries)
		return;
	struct dirent *entry;
	while ((entry = readdir(entries))) {
		struct stat st;
		const char *const date = entry->d_name + strlen("data_dt=");
		if (strncmp(entry->d_name, "data_dt=", strlen("data_dt=")) != 0 || strlen(date) != 10 ||
		    fstatat(dirfd(entries), entry->d_name, &st, 0) < 0)
			continue;
		status->loyalty_partitions++;
		if (strcmp(date, status->loyalty_last) > 0)
			snprintf(status->loyalty_last, sizeof(status->loyalty_last), "%.10s", date);
		const int64_t made_us = (int64_t)st.st_mtim.tv_sec * MICROS + st.st_mtim.tv_nsec / 1000;
		if (made_us > status->loyalty_last_us)
			status->loyalty_last_us = made_us;
	}
	closedir(entries);
}

int status_read(const struct deployment *deployment, struct status *out, struct error *err)
{
	const struct config *const config = deployment->config;
	struct status status = {.n_sources = config->n_sources, .next_block = 1};
	_cleanup_free_ char *loyalty = text_printf("%s/loyalty", deployment->warehouse_dir);
	status.sources = calloc(config->n_sources + 1u, sizeof(*status.sources));
	status.on_cluster = config->cluster.on;
	if (!loyalty || !status.sources ||
	    (!status.on_cluster && (add_consumer(&status, SLICE("transactions_cln"), 1) < 0 ||
				    add_consumer(&status, SLICE("customer view"), 1) < 0))) {
		status_release(&status);
		return error_no_memory(err, LIMIT_PATH_BYTES);
	}
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < config->n_sources; i++) {
		status.sources[i].source = &config->sources[i];
		status.sources[i].type = config_source_type_name(config->sources[i].type);
		rc = count_waiting(deployment, &status.sources[i], err);
	}
	if (rc == 0 && !status.on_cluster)
		rc = read_view(deployment, &status, err);
	if (rc == 0)
		rc = read_journal(deployment, &status, err);
	if (rc < 0) {
		status_release(&status);
		return rc;
	}
	if (!status.on_cluster)
		read_loyalty(loyalty, &status);
	if (live_update(&status.daemon, deployment->data_dir, &status.daemon_err) == ERROR_NOT_FOUND)
		status.daemon_err.code = 0;
	*out = status;
	return 0;
}

void status_release(struct status *status)
{
	for (unsigned i = 0; status->sources && i < status->n_sources; i++) {
		if (!status->sources[i].own)
			continue;
		free(status->sources[i].own->name);
		free(status->sources[i].own);
	}
	free(status->sources);
	for (unsigned i = 0; i < status->n_consumers; i++)
		free(status->consumers[i].name);
	free(status->consumers);
	live_release(&status->daemon);
	*status = (struct status){0};
}
