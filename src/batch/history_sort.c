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
/* Sorted rows are looked up all over the run: fetched as many ahead. */
#define AHEAD 12u
/* A run's offsets have 32 bits. */
#define RUN_BYTES_MAX ((size_t)1 << 31)
#define RUN_BYTES_MIN ((size_t)1 << 20)
#define ENTRIES_MIN   4096u

/* A row of the run in memory: what it is sorted by, and where it stands. */
struct entry {
	uint64_t key;
	uint32_t at;
	uint32_t len;
};

/* A sorted run, and its next row. */
struct run {
	struct spool_reader reader; /* unless it is the one in memory */
	bool in_memory;
	bool found;
	struct customer_id id; /* of the next row, as is … */
	struct slice row;
};

struct row_sorter {
	enum customer_id_type id_type;
	const char *tmp_dir;
	size_t memory_bytes;
	/* The run in memory. */
	char *bytes; /* per row: the customer (a number, or length and bytes), then the row */
	size_t len;
	struct entry *entries;
	struct entry *scratch;
	size_t n;
	size_t row_at; /* of the row that is being written */
	size_t taken;
	/* Those before it. */
	struct spool spool;
	bool has_spool;
	struct run *runs; /* the last one is the run in memory */
	size_t n_runs;
	size_t runs_cap;
	/* The customer whose rows are taken. */
	struct buf text;
	struct customer_id id;
	size_t at;  /* run */
	bool given; /* the run's row, which lives until the next call */
};

/*
 * Memory of the largest size, of which only pages that are touched count. Sorted rows are looked up all over it, so the pages
 * should be large ones, where the kernel has them.
 */
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

/* Room for as many rows as may be in memory: each has two entries and some bytes. */
static size_t entries_bytes(const struct row_sorter *sorter)
{
	return sorter->memory_bytes / 2;
}

int row_sorter_open(enum customer_id_type id_type, const char *tmp_dir, size_t memory_bytes, struct row_sorter **out,
		    struct error *err)
{
	struct row_sorter *const sorter = calloc(1, sizeof(*sorter));
	if (!sorter)
		return error_no_memory(err, sizeof(*sorter));
	sorter->id_type = id_type;
	sorter->tmp_dir = tmp_dir;
	sorter->memory_bytes = memory_bytes < RUN_BYTES_MIN   ? RUN_BYTES_MIN
			       : memory_bytes > RUN_BYTES_MAX ? RUN_BYTES_MAX
							      : memory_bytes;
	sorter->bytes = map(sorter->memory_bytes);
	sorter->entries = map(entries_bytes(sorter));
	sorter->scratch = map(entries_bytes(sorter));
	if (!sorter->bytes || !sorter->entries || !sorter->scratch) {
		row_sorter_close(sorter);
		return error_no_memory(err, sorter->memory_bytes);
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
	unmap(sorter->bytes, sorter->memory_bytes);
	unmap(sorter->entries, entries_bytes(sorter));
	unmap(sorter->scratch, entries_bytes(sorter));
	buf_release(&sorter->text);
	free(sorter);
}

/* ---- the run in memory ---- */

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

/* Keys of text ids: the bytes behind what all have in common, as a number. Ids that differ behind these are equal here. */
static void make_text_keys(struct row_sorter *sorter)
{
	const struct slice first = text_of(sorter, &sorter->entries[0]);
	size_t prefix = first.len;
	for (size_t i = 1; i < sorter->n && prefix; i++) {
		const struct slice text = text_of(sorter, &sorter->entries[i]);
		prefix = text.len < prefix ? text.len : prefix;
		while (prefix && memcmp(text.data, first.data, prefix) != 0)
			prefix--;
	}
	for (size_t i = 0; i < sorter->n; i++) {
		const struct slice text = text_of(sorter, &sorter->entries[i]);
		uint64_t key = 0;
		for (size_t at = prefix; at < prefix + KEY_BYTES; at++)
			key = key << 8 | (at < text.len ? (unsigned char)text.data[at] : 0);
		sorter->entries[i].key = key;
	}
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

static void sort_run(struct row_sorter *sorter)
{
	if (sorter->n == 0)
		return;
	if (sorter->id_type == CUSTOMER_ID_TEXT)
		make_text_keys(sorter);
	sort_by_keys(sorter);
	if (sorter->id_type == CUSTOMER_ID_TEXT)
		sort_same_keys(sorter);
}

static void fetch_ahead(const struct row_sorter *sorter, size_t i)
{
	if (i + AHEAD < sorter->n) {
		const char *const at = sorter->bytes + sorter->entries[i + AHEAD].at;
		__builtin_prefetch(at);
		__builtin_prefetch(at + 64);
	}
}

static int add_run(struct row_sorter *sorter, struct run run, struct error *err)
{
	if (sorter->n_runs == sorter->runs_cap) {
		const size_t cap = sorter->runs_cap ? sorter->runs_cap * 2 : 16;
		struct run *const runs = realloc(sorter->runs, cap * sizeof(*runs));
		if (!runs)
			return error_no_memory(err, cap * sizeof(*runs));
		sorter->runs = runs;
		sorter->runs_cap = cap;
	}
	sorter->runs[sorter->n_runs++] = run;
	return 0;
}

static int spill(struct row_sorter *sorter, struct error *err)
{
	int rc = sorter->has_spool ? 0 : spool_open(&sorter->spool, sorter->tmp_dir, err);
	if (rc < 0)
		return rc;
	sorter->has_spool = true;
	const uint64_t at = sorter->spool.size;
	sort_run(sorter);
	for (size_t i = 0; rc == 0 && i < sorter->n; i++) {
		fetch_ahead(sorter, i);
		rc = spool_append(&sorter->spool, bytes_of(sorter, &sorter->entries[i]), err);
	}
	if (rc == 0)
		rc = spool_flush(&sorter->spool, err);
	sorter->n = 0;
	sorter->len = 0;
	return rc < 0 ? rc
		      : add_run(sorter, (struct run){.reader = spool_read(&sorter->spool, at, sorter->spool.size)},
				err);
}

/* ---- rows in ---- */

int row_sorter_room(struct row_sorter *sorter, const struct customer_id *id, size_t most_bytes, char **out,
		    struct error *err)
{
	const size_t most = VARINT_MAX_BYTES + id->text.len + most_bytes;
	const size_t used = sorter->len + (sorter->n + 1) * 2 * sizeof(*sorter->entries);
	const int rc = sorter->n && used + most > sorter->memory_bytes ? spill(sorter, err) : 0;
	if (rc < 0)
		return rc;
	assert(most <= sorter->memory_bytes);
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

/* Goes to the run's next row. */
static int step(struct row_sorter *sorter, struct run *run, struct error *err)
{
	struct slice bytes = {0};
	int rc = 0;
	if (run->in_memory) {
		run->found = sorter->taken < sorter->n;
		if (run->found) {
			fetch_ahead(sorter, sorter->taken);
			bytes = bytes_of(sorter, &sorter->entries[sorter->taken++]);
		}
	} else {
		rc = spool_next(&run->reader, &bytes, &run->found, err);
	}
	if (rc < 0 || !run->found)
		return rc;
	struct reader r = reader_of(bytes);
	run->id = read_id(sorter, &r);
	run->row = (struct slice){(const char *)r.at, (size_t)(r.end - r.at)};
	return r.bad ? error_set(err, ERROR_CORRUPT, "a temporary file in %s was changed while it was in use",
				 sorter->tmp_dir)
		     : 0;
}

int row_sorter_finish(struct row_sorter *sorter, struct error *err)
{
	sort_run(sorter);
	int rc = add_run(sorter, (struct run){.in_memory = true}, err);
	for (size_t i = 0; rc == 0 && i < sorter->n_runs; i++)
		rc = step(sorter, &sorter->runs[i], err);
	sorter->at = sorter->n_runs;
	return rc;
}

int row_sorter_customer(struct row_sorter *sorter, struct customer_id *id, bool *found, struct error *err)
{
	const struct run *least = NULL;
	for (size_t i = 0; i < sorter->n_runs; i++) {
		const struct run *const run = &sorter->runs[i];
		if (run->found && (!least || customer_compare(&run->id, &least->id) < 0))
			least = run;
	}
	*found = least != NULL;
	if (!least)
		return 0;
	buf_clear(&sorter->text);
	if (least->id.text.len && buf_append(&sorter->text, least->id.text.data, least->id.text.len) < 0)
		return error_no_memory(err, least->id.text.len);
	sorter->id = (struct customer_id){.number = least->id.number, .text = {sorter->text.data, least->id.text.len}};
	*id = sorter->id;
	sorter->at = 0;
	return 0;
}

int row_sorter_row(struct row_sorter *sorter, struct slice *row, bool *found, struct error *err)
{
	if (sorter->given) {
		sorter->given = false;
		const int rc = step(sorter, &sorter->runs[sorter->at], err);
		if (rc < 0)
			return rc;
	}
	*found = false;
	for (; sorter->at < sorter->n_runs; sorter->at++) {
		const struct run *const run = &sorter->runs[sorter->at];
		if (run->found && customer_compare(&run->id, &sorter->id) == 0) {
			*row = run->row;
			*found = sorter->given = true;
			break;
		}
	}
	return 0;
}
