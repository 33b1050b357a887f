#include "batch/history_sort.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "batch/spool.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Digits of the radix sort. */
#define DIGIT_BITS 11u
#define DIGITS     (1u << DIGIT_BITS)
#define KEY_BYTES  8u
/*
 * A piece is sorted by looking its rows up all over it, so it is as small as a core's caches and its address translation bear:
 * of a piece of hundreds of MiB each row costs more than all else that the sort does. From there on all is read and written
 * from front to back.
 */
#define PIECE_BYTES_MAX ((size_t)8 << 20)
#define PIECE_BYTES_MIN ((size_t)1 << 19)
/* Of the memory, so much is a piece, which needs as much again for what sorts it. */
#define PIECE_PART 8u
/* All pieces in memory: the first of the rows' customers is looked for in each of them. */
#define ARENA_BYTES_MAX ((size_t)1 << 31)
/* Rows of a piece: one in so many bytes. */
#define ROW_BYTES    32u
#define LENGTH_BYTES 4u

/* A row of the piece: what it is sorted by, and where it stands. */
struct entry {
	uint64_t key;
	uint32_t at;
	uint32_t len;
};

/* A sorted run, and its next row: of records as a spool has them, in memory or in the spool. */
struct run {
	const char *at; /* in memory: what is behind the next row; NULL: in the spool */
	const char *end;
	struct spool_reader reader;
	struct slice record; /* the next row: the customer, and … */
	struct customer_id id;
	struct slice row; /* … what is behind it */
};

struct row_sorter {
	enum customer_id_type id_type;
	const char *tmp_dir;
	/* The piece that rows are written to. */
	char *bytes; /* per row: the customer (a number, or length and bytes), then the row */
	size_t len;
	size_t cap;
	struct entry *entries;
	struct entry *scratch;
	size_t n;
	size_t n_max;
	size_t row_at;     /* of the row that is being written */
	struct buf prefix; /* that all text ids begin with */
	bool has_prefix;
	/* Pieces that were sorted, as runs in memory, one behind the other. When there is no room, all are merged into a run of
	 * the spool. */
	char *arena;
	size_t arena_len;
	size_t arena_cap;
	struct spool spool;
	bool has_spool;
	/* Runs that have a row left. While rows come in, those of the spool, then those in memory. */
	struct run *runs;
	uint64_t *keys; /* of each one's next row: the order of the customers, but for text ids that are equal here */
	size_t n_runs;
	size_t runs_cap;
	size_t first; /* of those that are merged: behind the ones of the spool while rows come in, 0 in the end */
	/* The customer whose rows are taken. */
	struct buf text;
	struct customer_id id;
	uint64_t key;
	size_t at;  /* run */
	bool given; /* the run's row, which lives until the next call */
};

/* Memory of the largest size, of which only pages that are touched count. */
static void *map(size_t bytes)
{
	void *const at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

static void unmap(void *at, size_t bytes)
{
	if (at)
		munmap(at, bytes);
}

static size_t clamp(size_t n, size_t least, size_t most)
{
	return n < least ? least : n > most ? most : n;
}

int row_sorter_open(enum customer_id_type id_type, const char *tmp_dir, size_t memory_bytes, struct row_sorter **out,
		    struct error *err)
{
	struct row_sorter *const sorter = calloc(1, sizeof(*sorter));
	if (!sorter)
		return error_no_memory(err, sizeof(*sorter));
	sorter->id_type = id_type;
	sorter->tmp_dir = tmp_dir;
	sorter->cap = clamp(memory_bytes / PIECE_PART, PIECE_BYTES_MIN, PIECE_BYTES_MAX);
	sorter->n_max = sorter->cap / ROW_BYTES;
	/* At least a piece, with a length in front of each row. */
	sorter->arena_cap = clamp(memory_bytes, 4 * sorter->cap, ARENA_BYTES_MAX) - 2 * sorter->cap;
	sorter->bytes = map(sorter->cap);
	sorter->entries = map(sorter->n_max * sizeof(*sorter->entries));
	sorter->scratch = map(sorter->n_max * sizeof(*sorter->scratch));
	sorter->arena = map(sorter->arena_cap);
	if (!sorter->bytes || !sorter->entries || !sorter->scratch || !sorter->arena) {
		row_sorter_close(sorter);
		return error_no_memory(err, memory_bytes);
	}
	*out = sorter;
	return 0;
}

void row_sorter_close(struct row_sorter *sorter)
{
	if (!sorter)
		return;
	for (size_t i = 0; i < sorter->n_runs; i++)
		spool_reader_release(&sorter->runs[i].reader);
	if (sorter->has_spool)
		spool_close(&sorter->spool);
	free(sorter->runs);
	free(sorter->keys);
	unmap(sorter->bytes, sorter->cap);
	unmap(sorter->entries, sorter->n_max * sizeof(*sorter->entries));
	unmap(sorter->scratch, sorter->n_max * sizeof(*sorter->scratch));
	unmap(sorter->arena, sorter->arena_cap);
	buf_release(&sorter->prefix);
	buf_release(&sorter->text);
	free(sorter);
}

/* ---- a piece ---- */

static struct customer_id read_id(const struct row_sorter *sorter, struct reader *r)
{
	struct customer_id id = {0};
	if (sorter->id_type == CUSTOMER_ID_INTEGER)
		id.number = read_signed(r);
	else
		id.text = read_slice(r);
	return id;
}

static struct slice bytes_of(const struct row_sorter *sorter, const struct entry *entry)
{
	return (struct slice){sorter->bytes + entry->at, entry->len};
}

static struct slice text_of(const struct row_sorter *sorter, const struct entry *entry)
{
	struct reader r = reader_of(bytes_of(sorter, entry));
	return read_slice(&r);
}

/* The bytes behind what all text ids have in common, as a number. Ids that differ behind these are equal here. */
static uint64_t key_of(const struct row_sorter *sorter, const struct customer_id *id)
{
	if (sorter->id_type == CUSTOMER_ID_INTEGER)
		return (uint64_t)id->number ^ UINT64_C(1) << 63;
	uint64_t key = 0;
	for (size_t at = sorter->prefix.len; at < sorter->prefix.len + KEY_BYTES; at++)
		key = key << 8 | (at < id->text.len ? (unsigned char)id->text.data[at] : 0);
	return key;
}

static int make_text_keys(struct row_sorter *sorter, struct error *err)
{
	struct buf *const prefix = &sorter->prefix;
	const struct slice first = text_of(sorter, &sorter->entries[0]);
	if (!sorter->has_prefix && first.len && buf_append(prefix, first.data, first.len) < 0)
		return error_no_memory(err, first.len);
	sorter->has_prefix = true;
	for (size_t i = 0; i < sorter->n && prefix->len; i++) {
		const struct slice text = text_of(sorter, &sorter->entries[i]);
		prefix->len = text.len < prefix->len ? text.len : prefix->len;
		while (prefix->len && memcmp(text.data, prefix->data, prefix->len) != 0)
			prefix->len--;
	}
	for (size_t i = 0; i < sorter->n; i++) {
		const struct customer_id id = {.text = text_of(sorter, &sorter->entries[i])};
		sorter->entries[i].key = key_of(sorter, &id);
	}
	return 0;
}

/* By the digits in which keys differ, least significant first. */
static void sort_by_keys(struct row_sorter *sorter)
{
	uint64_t all = 0;
	const uint64_t first = sorter->entries[0].key;
	for (size_t i = 1; i < sorter->n; i++)
		all |= sorter->entries[i].key ^ first;
	for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
		if ((all >> shift & (DIGITS - 1)) == 0)
			continue;
		size_t ends[DIGITS] = {0};
		for (size_t i = 0; i < sorter->n; i++)
			ends[sorter->entries[i].key >> shift & (DIGITS - 1)]++;
		size_t at = 0;
		for (unsigned digit = 0; digit < DIGITS; digit++) {
			const size_t n = ends[digit];
			ends[digit] = at;
			at += n;
		}
		for (size_t i = 0; i < sorter->n; i++)
			sorter->scratch[ends[sorter->entries[i].key >> shift & (DIGITS - 1)]++] = sorter->entries[i];
		struct entry *const sorted = sorter->scratch;
		sorter->scratch = sorter->entries;
		sorter->entries = sorted;
	}
}

static int compare_texts(const void *a, const void *b, void *context)
{
	const struct customer_id x = {.text = text_of(context, a)};
	const struct customer_id y = {.text = text_of(context, b)};
	return customer_compare(&x, &y);
}

/* Text ids of one key, which may be longer than that. */
static void sort_same_keys(struct row_sorter *sorter)
{
	for (size_t at = 0; at < sorter->n;) {
		size_t end = at;
		bool sorted = true;
		for (; end < sorter->n && sorter->entries[end].key == sorter->entries[at].key; end++)
			sorted = sorted && (end == at || compare_texts(&sorter->entries[end - 1], &sorter->entries[end],
								       sorter) <= 0);
		if (!sorted)
			qsort_r(sorter->entries + at, end - at, sizeof(*sorter->entries), compare_texts, sorter);
		at = end;
	}
}

/* ---- runs ---- */

/* Goes to the run's next row. */
static int step(struct row_sorter *sorter, struct run *run, bool *found, struct error *err)
{
	if (run->at) {
		*found = run->at < run->end;
		if (*found) {
			struct reader length = reader_of((struct slice){run->at, LENGTH_BYTES});
			run->record = (struct slice){run->at + LENGTH_BYTES, read_u32(&length)};
			run->at = run->record.data + run->record.len;
		}
	} else {
		const int rc = spool_next(&run->reader, &run->record, found, err);
		if (rc < 0)
			return rc;
	}
	if (!*found)
		return 0;
	struct reader r = reader_of(run->record);
	run->id = read_id(sorter, &r);
	run->row = (struct slice){(const char *)r.at, (size_t)(r.end - r.at)};
	return r.bad ? error_set(err, ERROR_CORRUPT, "a temporary file in %s was changed while it was in use",
				 sorter->tmp_dir)
		     : 0;
}

/* Goes on with run i; when it has ended, the last run takes its place. */
static int step_run(struct row_sorter *sorter, size_t i, struct error *err)
{
	bool found = false;
	const int rc = step(sorter, &sorter->runs[i], &found, err);
	if (rc < 0)
		return rc;
	if (found) {
		sorter->keys[i] = key_of(sorter, &sorter->runs[i].id);
		return 0;
	}
	spool_reader_release(&sorter->runs[i].reader);
	sorter->n_runs--;
	sorter->runs[i] = sorter->runs[sorter->n_runs];
	sorter->keys[i] = sorter->keys[sorter->n_runs];
	return 0;
}

static int add_run(struct row_sorter *sorter, struct run run, struct error *err)
{
	if (sorter->n_runs == sorter->runs_cap) {
		const size_t cap = sorter->runs_cap ? sorter->runs_cap * 2 : 64;
		struct run *const runs = realloc(sorter->runs, cap * sizeof(*runs));
		if (!runs)
			return error_no_memory(err, cap * sizeof(*runs));
		sorter->runs = runs;
		uint64_t *const keys = realloc(sorter->keys, cap * sizeof(*keys));
		if (!keys)
			return error_no_memory(err, cap * sizeof(*keys));
		sorter->keys = keys;
		sorter->runs_cap = cap;
	}
	sorter->runs[sorter->n_runs++] = run;
	return 0;
}

/* Goes to the first row of each run; none is empty. */
static int begin_merge(struct row_sorter *sorter, struct error *err)
{
	int rc = 0;
	for (size_t i = sorter->first; rc == 0 && i < sorter->n_runs; i++)
		rc = step_run(sorter, i, err);
	sorter->at = sorter->n_runs;
	return rc;
}

static int compare_runs(const struct row_sorter *sorter, size_t a, size_t b)
{
	if (sorter->keys[a] != sorter->keys[b])
		return sorter->keys[a] < sorter->keys[b] ? -1 : 1;
	return sorter->id_type == CUSTOMER_ID_TEXT ? customer_compare(&sorter->runs[a].id, &sorter->runs[b].id) : 0;
}

/* All pieces that are in memory become a run of the spool. */
static int spill(struct row_sorter *sorter, struct error *err)
{
	int rc = sorter->has_spool ? 0 : spool_open(&sorter->spool, sorter->tmp_dir, err);
	if (rc < 0)
		return rc;
	sorter->has_spool = true;
	const uint64_t at = sorter->spool.size;
	struct customer_id id;
	struct slice row;
	bool found = true;
	rc = begin_merge(sorter, err);
	while (rc == 0 && (rc = row_sorter_customer(sorter, &id, &found, err)) == 0 && found)
		while (rc == 0 && (rc = row_sorter_row(sorter, &row, &found, err)) == 0 && found)
			rc = spool_append(&sorter->spool, sorter->runs[sorter->at].record, err);
	if (rc == 0)
		rc = spool_flush(&sorter->spool, err);
	if (rc == 0)
		rc = add_run(sorter, (struct run){.reader = spool_read(&sorter->spool, at, sorter->spool.size)}, err);
	sorter->first = sorter->n_runs;
	sorter->arena_len = 0;
	return rc;
}

/* The piece becomes a run in memory. */
static int sort_piece(struct row_sorter *sorter, struct error *err)
{
	const size_t most = sorter->len + sorter->n * LENGTH_BYTES;
	int rc = sorter->arena_len + most > sorter->arena_cap ? spill(sorter, err) : 0;
	if (rc == 0 && sorter->id_type == CUSTOMER_ID_TEXT)
		rc = make_text_keys(sorter, err);
	if (rc < 0)
		return rc;
	sort_by_keys(sorter);
	if (sorter->id_type == CUSTOMER_ID_TEXT)
		sort_same_keys(sorter);
	const char *const begin = sorter->arena + sorter->arena_len;
	char *p = sorter->arena + sorter->arena_len;
	for (size_t i = 0; i < sorter->n; i++) {
		const struct slice bytes = bytes_of(sorter, &sorter->entries[i]);
		p = put_u32(p, (uint32_t)bytes.len);
		memcpy(p, bytes.data, bytes.len);
		p += bytes.len;
	}
	sorter->arena_len += most;
	sorter->n = 0;
	sorter->len = 0;
	return add_run(sorter, (struct run){.at = begin, .end = p}, err);
}

/* ---- rows in ---- */

int row_sorter_room(struct row_sorter *sorter, const struct customer_id *id, size_t most_bytes, char **out,
		    struct error *err)
{
	const size_t most = VARINT_MAX_BYTES + id->text.len + most_bytes;
	const bool full = sorter->n == sorter->n_max || sorter->len + most > sorter->cap;
	const int rc = sorter->n && full ? sort_piece(sorter, err) : 0;
	if (rc < 0)
		return rc;
	assert(most <= sorter->cap);
	sorter->row_at = sorter->len;
	char *const at = sorter->bytes + sorter->row_at;
	*out = sorter->id_type == CUSTOMER_ID_INTEGER ? put_signed(at, id->number) : put_slice(at, id->text);
	return 0;
}

void row_sorter_add(struct row_sorter *sorter, const struct customer_id *id, const char *end)
{
	sorter->len = (size_t)(end - sorter->bytes);
	sorter->entries[sorter->n++] = (struct entry){
		.key = (uint64_t)id->number ^ UINT64_C(1) << 63, /* of text ids later */
		.at = (uint32_t)sorter->row_at,
		.len = (uint32_t)(sorter->len - sorter->row_at),
	};
}

/* ---- rows out ---- */

/* What text ids of both have in common; keys are made of it again when the runs are merged. */
static int join_prefixes(struct row_sorter *sorter, const struct row_sorter *other, struct error *err)
{
	struct buf *const prefix = &sorter->prefix;
	if (!other->has_prefix)
		return 0;
	if (!sorter->has_prefix && other->prefix.len && buf_append(prefix, other->prefix.data, other->prefix.len) < 0)
		return error_no_memory(err, other->prefix.len);
	sorter->has_prefix = true;
	prefix->len = other->prefix.len < prefix->len ? other->prefix.len : prefix->len;
	while (prefix->len && memcmp(other->prefix.data, prefix->data, prefix->len) != 0)
		prefix->len--;
	return 0;
}

int row_sorter_join(struct row_sorter *sorter, struct row_sorter *other, struct error *err)
{
	/* Own rows first: should there be no room for them, only own runs are spilled. */
	int rc = sorter->n ? sort_piece(sorter, err) : 0;
	if (rc == 0 && other->n)
		rc = sort_piece(other, err);
	if (rc == 0)
		rc = join_prefixes(sorter, other, err);
	while (rc == 0 && other->n_runs) {
		rc = add_run(sorter, other->runs[other->n_runs - 1], err);
		other->n_runs -= rc == 0;
	}
	return rc;
}

int row_sorter_finish(struct row_sorter *sorter, struct error *err)
{
	const int rc = sorter->n ? sort_piece(sorter, err) : 0;
	sorter->first = 0;
	return rc < 0 ? rc : begin_merge(sorter, err);
}

int row_sorter_customer(struct row_sorter *sorter, struct customer_id *id, bool *found, struct error *err)
{
	*found = sorter->n_runs > sorter->first;
	if (!*found)
		return 0;
	size_t least = sorter->first;
	for (size_t i = least + 1; i < sorter->n_runs; i++)
		if (sorter->keys[i] <= sorter->keys[least] && compare_runs(sorter, i, least) < 0)
			least = i;
	const struct customer_id *const next = &sorter->runs[least].id;
	buf_clear(&sorter->text);
	if (next->text.len && buf_append(&sorter->text, next->text.data, next->text.len) < 0)
		return error_no_memory(err, next->text.len);
	sorter->id = (struct customer_id){.number = next->number, .text = {sorter->text.data, next->text.len}};
	sorter->key = sorter->keys[least];
	*id = sorter->id;
	sorter->at = least;
	return 0;
}

int row_sorter_row(struct row_sorter *sorter, struct slice *row, bool *found, struct error *err)
{
	if (sorter->given) {
		sorter->given = false;
		const int rc = step_run(sorter, sorter->at, err);
		if (rc < 0)
			return rc;
	}
	*found = false;
	for (; sorter->at < sorter->n_runs; sorter->at++) {
		if (sorter->keys[sorter->at] != sorter->key ||
		    (sorter->id_type == CUSTOMER_ID_TEXT &&
		     customer_compare(&sorter->runs[sorter->at].id, &sorter->id) != 0))
			continue;
		*row = sorter->runs[sorter->at].row;
		*found = sorter->given = true;
		break;
	}
	return 0;
}
