/*
 * The environment has four databases:
 *
 *     name       key                        value
 *     blocks     u64, native order          a block (block.c); MDB_INTEGERKEY, so the file belongs to one kind of machine
 *     positions  the source's choice        the source's choice
 *     ids        16 bytes, hash of an id    u64 little-endian, hash of the payload
 *     meta       text                       "format": varint 1; "totals": varint events, lines, quarantined;
 *                                           "next": varint; "offset/<consumer>": varint
 *
 * Recovery: none. LMDB is copy-on-write; after a crash the last committed transaction is what is there.
 */
#include "store/journal.h"

#include "base/bytes.h"
#include "store/block.h"
#include "store/env_internal.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FORMAT 1

struct databases {
	MDB_dbi blocks;
	MDB_dbi positions;
	MDB_dbi ids;
	MDB_dbi meta;
};

/* Whose turn it is to write: LMDB's own lock may go to the same thread again and again, and a source with a backlog would
 * starve the others. */
struct turns {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	uint64_t next;
	uint64_t serving;
};

struct journal {
	MDB_env *env;
	struct databases db;
	struct turns turns;
	MDB_txn *txn;          /* the writer's … */
	uint64_t txn_appended; /* … and the bytes of blocks that it has appended */
	_Atomic uint64_t appended;
};

struct journal_reader {
	struct journal *journal;
	MDB_txn *txn;
};

static void turns_wait(struct turns *turns)
{
	pthread_mutex_lock(&turns->mutex);
	const uint64_t own = turns->next++;
	while (turns->serving != own)
		pthread_cond_wait(&turns->changed, &turns->mutex);
	pthread_mutex_unlock(&turns->mutex);
}

static void turns_end(struct turns *turns)
{
	pthread_mutex_lock(&turns->mutex);
	turns->serving++;
	pthread_cond_broadcast(&turns->changed);
	pthread_mutex_unlock(&turns->mutex);
}

static MDB_val val_of(struct slice s)
{
	union {
		const char *in;
		void *out;
	} const data = {.in = s.data};
	return (MDB_val){.mv_size = s.len, .mv_data = data.out};
}

static struct slice slice_of_val(const MDB_val *v)
{
	return (struct slice){v->mv_data, v->mv_size};
}

static int get_number(MDB_txn *txn, MDB_dbi meta, const char *name, uint64_t absent, uint64_t *out)
{
	MDB_val key = val_of(slice_of(name));
	MDB_val value;
	const int rc = mdb_get(txn, meta, &key, &value);
	if (rc == MDB_NOTFOUND) {
		*out = absent;
		return 0;
	}
	if (rc != 0)
		return rc;
	struct reader r = reader_of(slice_of_val(&value));
	*out = read_varint(&r);
	return r.bad ? MDB_CORRUPTED : 0;
}

static int put_number(MDB_txn *txn, MDB_dbi meta, const char *name, uint64_t number)
{
	char bytes[VARINT_MAX_BYTES];
	MDB_val key = val_of(slice_of(name));
	MDB_val value = val_of((struct slice){bytes, (size_t)(put_varint(bytes, number) - bytes)});
	return mdb_put(txn, meta, &key, &value, 0);
}

static int get_totals(MDB_txn *txn, MDB_dbi meta, struct journal_totals *out)
{
	MDB_val key = val_of(SLICE("totals"));
	MDB_val value;
	const int rc = mdb_get(txn, meta, &key, &value);
	if (rc == MDB_NOTFOUND) {
		*out = (struct journal_totals){0};
		return 0;
	}
	if (rc != 0)
		return rc;
	struct reader r = reader_of(slice_of_val(&value));
	out->events = read_varint(&r);
	out->lines = read_varint(&r);
	out->quarantined = read_varint(&r);
	return r.bad ? MDB_CORRUPTED : 0;
}

static int put_totals(MDB_txn *txn, MDB_dbi meta, const struct journal_totals *totals)
{
	char bytes[3 * VARINT_MAX_BYTES];
	char *p = put_varint(bytes, totals->events);
	p = put_varint(p, totals->lines);
	p = put_varint(p, totals->quarantined);
	MDB_val key = val_of(SLICE("totals"));
	MDB_val value = val_of((struct slice){bytes, (size_t)(p - bytes)});
	return mdb_put(txn, meta, &key, &value, 0);
}

static int open_databases(struct journal *journal, bool read_only)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(journal->env, NULL, read_only ? MDB_RDONLY : 0, &txn);
	if (rc != 0)
		return rc;
	const unsigned make = read_only ? 0 : MDB_CREATE;
	struct databases *const db = &journal->db;
	if ((rc = mdb_dbi_open(txn, "blocks", make | MDB_INTEGERKEY, &db->blocks)) != 0 ||
	    (rc = mdb_dbi_open(txn, "positions", make, &db->positions)) != 0 ||
	    (rc = mdb_dbi_open(txn, "ids", make, &db->ids)) != 0 ||
	    (rc = mdb_dbi_open(txn, "meta", make, &db->meta)) != 0)
		goto fail;
	uint64_t format;
	rc = get_number(txn, db->meta, "format", 0, &format);
	if (rc == 0 && format == 0 && !read_only)
		rc = put_number(txn, db->meta, "format", FORMAT);
	else if (rc == 0 && format != FORMAT)
		rc = MDB_VERSION_MISMATCH;
	if (rc != 0)
		goto fail;
	return mdb_txn_commit(txn);
fail:
	mdb_txn_abort(txn);
	return rc;
}

int journal_open(const char *dir, const struct journal_options *options, struct journal **out, struct error *err)
{
	struct journal *const journal = calloc(1, sizeof(*journal));
	if (!journal)
		return error_no_memory(err, sizeof(*journal));
	pthread_mutex_init(&journal->turns.mutex, NULL);
	pthread_cond_init(&journal->turns.changed, NULL);
	const struct env_options env_options = {.what = "journal",
						.remedy = "put it back from a backup; without one, start over: move "
							  "data/ away, give the order files their "
							  "old names again, and load and collect everything",
						.map_gib = options->map_gib,
						.databases = 4,
						.read_only = options->read_only};
	int rc = env_open(dir, &env_options, &journal->env, err);
	if (rc < 0) {
		journal_close(journal);
		return rc;
	}
	const int code = open_databases(journal, options->read_only);
	if (code != 0) {
		/* Killed between making the file and its databases: there is nothing in it yet. */
		rc = code == MDB_NOTFOUND && options->read_only
			     ? error_set(err, ERROR_NOT_FOUND, "there is no journal in %s yet", dir)
			     : env_error(journal->env, code, err, "open the journal");
		journal_close(journal);
		return rc;
	}
	*out = journal;
	return 0;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	if (journal->txn)
		mdb_txn_abort(journal->txn);
	env_close(journal->env);
	pthread_cond_destroy(&journal->turns.changed);
	pthread_mutex_destroy(&journal->turns.mutex);
	free(journal);
}

int journal_begin(struct journal *journal, struct error *err)
{
	MDB_txn *txn = NULL;
	turns_wait(&journal->turns);
	const int rc = mdb_txn_begin(journal->env, NULL, 0, &txn);
	if (rc != 0) {
		turns_end(&journal->turns);
		return env_error(journal->env, rc, err, "begin to write the journal");
	}
	assert(!journal->txn);
	journal->txn = txn;
	journal->txn_appended = 0;
	return 0;
}

int journal_commit(struct journal *journal, struct error *err)
{
	MDB_txn *const txn = journal->txn;
	journal->txn = NULL;
	const int rc = mdb_txn_commit(txn);
	if (rc == 0)
		atomic_fetch_add(&journal->appended, journal->txn_appended);
	turns_end(&journal->turns);
	return rc == 0 ? 0 : env_error(journal->env, rc, err, "write the journal");
}

void journal_abort(struct journal *journal)
{
	MDB_txn *const txn = journal->txn;
	journal->txn = NULL;
	if (!txn)
		return;
	mdb_txn_abort(txn);
	turns_end(&journal->turns);
}

int journal_append(struct journal *journal, struct slice block, uint64_t *seq, struct error *err)
{
	struct block_counts counts;
	int rc = block_counts(block, &counts, err);
	if (rc < 0)
		return rc;
	uint64_t next;
	struct journal_totals totals;
	MDB_txn *const txn = journal->txn;
	const MDB_dbi meta = journal->db.meta;
	if ((rc = get_number(txn, meta, "next", 1, &next)) != 0 || (rc = get_totals(txn, meta, &totals)) != 0)
		return env_error(journal->env, rc, err, "read the journal's state");
	totals.events += counts.n_events;
	totals.lines += counts.n_lines;
	totals.quarantined += counts.n_quarantined;
	MDB_val key = {.mv_size = sizeof(next), .mv_data = &next};
	MDB_val value = val_of(block);
	if ((rc = mdb_put(txn, journal->db.blocks, &key, &value, MDB_APPEND)) != 0 ||
	    (rc = put_number(txn, meta, "next", next + 1)) != 0 || (rc = put_totals(txn, meta, &totals)) != 0)
		return env_error(journal->env, rc, err, "append to the journal");
	journal->txn_appended += block.len;
	*seq = next;
	return 0;
}

uint64_t journal_appended(const struct journal *journal)
{
	return atomic_load(&journal->appended);
}

int journal_position_set(struct journal *journal, struct slice key, struct slice position, struct error *err)
{
	MDB_val k = val_of(key);
	MDB_val v = val_of(position);
	const int rc = mdb_put(journal->txn, journal->db.positions, &k, &v, 0);
	return rc == 0 ? 0 : env_error(journal->env, rc, err, "write a source's position");
}

int journal_position(struct journal *journal, struct slice key, struct slice *position, struct error *err)
{
	MDB_val k = val_of(key);
	MDB_val v;
	const int rc = mdb_get(journal->txn, journal->db.positions, &k, &v);
	if (rc != 0)
		return env_error(journal->env, rc, err, "read a source's position");
	*position = slice_of_val(&v);
	return 0;
}

/* 0, or LMDB's error. */
static int walk_positions(MDB_txn *txn, MDB_dbi positions, struct slice prefix,
			  int (*each)(void *context, struct slice key, struct slice position), void *context)
{
	MDB_cursor *cursor = NULL;
	int rc = mdb_cursor_open(txn, positions, &cursor);
	if (rc != 0)
		return rc;
	MDB_val key = val_of(prefix);
	MDB_val value;
	for (rc = mdb_cursor_get(cursor, &key, &value, prefix.len ? MDB_SET_RANGE : MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		const struct slice name = slice_of_val(&key);
		if (name.len < prefix.len || (prefix.len && memcmp(name.data, prefix.data, prefix.len) != 0))
			break;
		if (each(context, name, slice_of_val(&value)) != 0)
			break;
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int journal_positions(struct journal *journal, struct slice prefix,
		      int (*each)(void *context, struct slice key, struct slice position), void *context,
		      struct error *err)
{
	const int rc = walk_positions(journal->txn, journal->db.positions, prefix, each, context);
	return rc == 0 ? 0 : env_error(journal->env, rc, err, "read a source's positions");
}

int journal_id_add(struct journal *journal, const unsigned char id_hash[16], uint64_t payload_hash,
		   enum journal_id_state *state, struct error *err)
{
	MDB_val key = val_of((struct slice){(const char *)id_hash, 16});
	char payload[8];
	put_u64(payload, payload_hash);
	MDB_val value = val_of((struct slice){payload, sizeof(payload)});
	const int rc = mdb_put(journal->txn, journal->db.ids, &key, &value, MDB_NOOVERWRITE);
	if (rc == 0) {
		*state = JOURNAL_ID_NEW;
		return 0;
	}
	if (rc != MDB_KEYEXIST)
		return env_error(journal->env, rc, err, "look up an event's id");
	*state = slice_equal(slice_of_val(&value), (struct slice){payload, sizeof(payload)}) ? JOURNAL_ID_SAME
											     : JOURNAL_ID_CONFLICT;
	return 0;
}

int journal_id_remove(struct journal *journal, const unsigned char id_hash[16], struct error *err)
{
	MDB_val key = val_of((struct slice){(const char *)id_hash, 16});
	const int rc = mdb_del(journal->txn, journal->db.ids, &key, NULL);
	return rc == 0 ? 0 : env_error(journal->env, rc, err, "take an event's id back");
}

static void offset_name(char out[64], const char *consumer)
{
	snprintf(out, 64, "offset/%s", consumer);
}

int journal_offset_set(struct journal *journal, const char *consumer, uint64_t offset, struct error *err)
{
	char name[64];
	offset_name(name, consumer);
	const int rc = put_number(journal->txn, journal->db.meta, name, offset);
	return rc == 0 ? 0 : env_error(journal->env, rc, err, "write a consumer's offset");
}

int journal_trim(struct journal *journal, uint64_t until, unsigned most, unsigned *n, struct error *err)
{
	MDB_cursor *cursor = NULL;
	int rc = mdb_cursor_open(journal->txn, journal->db.blocks, &cursor);
	unsigned gone = 0;
	while (rc == 0 && gone < most) {
		MDB_val key;
		MDB_val value;
		rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
		if (rc != 0)
			break;
		uint64_t seq;
		memcpy(&seq, key.mv_data, sizeof(seq));
		if (seq >= until)
			break;
		rc = mdb_cursor_del(cursor, 0);
		if (rc == 0)
			gone++;
	}
	if (cursor)
		mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return env_error(journal->env, rc, err, "trim the journal");
	*n = gone;
	return 0;
}

int journal_reader_open(struct journal *journal, struct journal_reader **out, struct error *err)
{
	struct journal_reader *const reader = calloc(1, sizeof(*reader));
	if (!reader)
		return error_no_memory(err, sizeof(*reader));
	reader->journal = journal;
	const int rc = mdb_txn_begin(journal->env, NULL, MDB_RDONLY, &reader->txn);
	if (rc != 0) {
		free(reader);
		return env_error(journal->env, rc, err, "read the journal");
	}
	*out = reader;
	return 0;
}

int journal_reader_renew(struct journal_reader *reader, struct error *err)
{
	mdb_txn_reset(reader->txn);
	const int rc = mdb_txn_renew(reader->txn);
	return rc == 0 ? 0 : env_error(reader->journal->env, rc, err, "read the journal");
}

void journal_reader_rest(struct journal_reader *reader)
{
	mdb_txn_reset(reader->txn);
}

void journal_reader_close(struct journal_reader *reader)
{
	if (!reader)
		return;
	mdb_txn_abort(reader->txn);
	free(reader);
}

static int reader_error(struct journal_reader *reader, int rc, struct error *err)
{
	return env_error(reader->journal->env, rc, err, "read the journal");
}

int journal_reader_range(struct journal_reader *reader, uint64_t *first, uint64_t *next, struct error *err)
{
	uint64_t next_seq;
	int rc = get_number(reader->txn, reader->journal->db.meta, "next", 1, &next_seq);
	if (rc != 0)
		return reader_error(reader, rc, err);
	MDB_cursor *cursor = NULL;
	rc = mdb_cursor_open(reader->txn, reader->journal->db.blocks, &cursor);
	if (rc != 0)
		return reader_error(reader, rc, err);
	MDB_val key;
	MDB_val value;
	uint64_t first_seq = next_seq;
	rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	if (rc == 0)
		memcpy(&first_seq, key.mv_data, sizeof(first_seq));
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return reader_error(reader, rc, err);
	*first = first_seq;
	*next = next_seq;
	return 0;
}

int journal_reader_block(struct journal_reader *reader, uint64_t seq, struct slice *block, struct error *err)
{
	MDB_val key = {.mv_size = sizeof(seq), .mv_data = &seq};
	MDB_val value;
	const int rc = mdb_get(reader->txn, reader->journal->db.blocks, &key, &value);
	if (rc == MDB_NOTFOUND)
		return error_set(err, ERROR_NOT_FOUND, "block %llu is not in the journal", (unsigned long long)seq);
	if (rc != 0)
		return reader_error(reader, rc, err);
	*block = slice_of_val(&value);
	return 0;
}

int journal_reader_count(struct journal_reader *reader, uint64_t first, uint64_t next, uint64_t most,
			 struct block_counts *sum, uint64_t *end, struct error *err)
{
	struct block_counts all = {0};
	uint64_t seq = first;
	for (; seq < next && all.n_lines + all.n_quarantined < most; seq++) {
		struct slice block = {0};
		struct block_counts counts = {0};
		int rc = journal_reader_block(reader, seq, &block, err);
		if (rc == 0)
			rc = block_counts(block, &counts, err);
		if (rc < 0)
			return rc;
		all.n_events += counts.n_events;
		all.n_lines += counts.n_lines;
		all.n_quarantined += counts.n_quarantined;
	}
	*sum = all;
	if (end)
		*end = seq;
	return 0;
}

int journal_reader_offset(struct journal_reader *reader, const char *consumer, uint64_t *offset, struct error *err)
{
	char name[64];
	offset_name(name, consumer);
	const int rc = get_number(reader->txn, reader->journal->db.meta, name, 1, offset);
	return rc == 0 ? 0 : reader_error(reader, rc, err);
}

int journal_reader_totals(struct journal_reader *reader, struct journal_totals *out, struct error *err)
{
	const int rc = get_totals(reader->txn, reader->journal->db.meta, out);
	return rc == 0 ? 0 : reader_error(reader, rc, err);
}

int journal_reader_sizes(struct journal_reader *reader, uint64_t *used_bytes, uint64_t *file_bytes, struct error *err)
{
	uint64_t used = 0;
	const MDB_dbi all[] = {reader->journal->db.blocks, reader->journal->db.positions, reader->journal->db.ids,
			       reader->journal->db.meta};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		MDB_stat stat;
		const int rc = mdb_stat(reader->txn, all[i], &stat);
		if (rc != 0)
			return reader_error(reader, rc, err);
		used += (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * (uint64_t)stat.ms_psize;
	}
	int fd;
	struct stat st;
	if (mdb_env_get_fd(reader->journal->env, &fd) != 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot look at the journal's file");
	*used_bytes = used;
	*file_bytes = (uint64_t)st.st_size;
	return 0;
}

int journal_reader_positions(struct journal_reader *reader, struct slice prefix,
			     int (*each)(void *context, struct slice key, struct slice position), void *context,
			     struct error *err)
{
	const int rc = walk_positions(reader->txn, reader->journal->db.positions, prefix, each, context);
	return rc == 0 ? 0 : reader_error(reader, rc, err);
}
