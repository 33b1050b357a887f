/*
 * The journal: every event that was acknowledged, in the order of arrival, once. An LMDB environment in data/journal/.
 *
 *     struct journal *journal = NULL;
 *     rc = journal_open(dir, &(struct journal_options){.map_gib = 64}, &journal, err);
 *     rc = journal_begin(journal, err);                      // the writer's transaction
 *     rc = journal_append(journal, block, &seq, err);
 *     rc = journal_position_set(journal, key, position, err);
 *     rc = journal_commit(journal, err);                     // durable: block, position, ids and offsets, or none of them
 *
 *     struct journal_reader *reader = NULL;
 *     rc = journal_reader_open(journal, &reader, err);       // one moment's state
 *     rc = journal_reader_block(reader, seq, &block, err);
 *     journal_reader_close(reader);
 *
 * Blocks are numbered from 1 without a gap; trimmed ones are gone from the low end. A consumer's *offset* is the number of
 * the next block that it will take. An acknowledged event is in the journal once, because the position of the source is
 * written in the transaction of its block; events that bring their own id are looked up in the index of ids, in the same
 * transaction.
 *
 * Errors of all functions: ERROR_IO, ERROR_NO_SPACE (disk or map full), ERROR_CORRUPT, ERROR_NO_MEMORY.
 * Threads: one journal may be shared by the threads of one process, one write transaction at a time (others wait in
 * journal_begin, and get their turns in the order in which they came); a transaction ends in the thread that began it. A reader belongs to one thread at a time.
 */
#ifndef PUNCHCARD_STORE_JOURNAL_H
#define PUNCHCARD_STORE_JOURNAL_H

#include "base/buf.h"
#include "base/error.h"
#include "store/block.h"

#include <stdbool.h>
#include <stdint.h>

struct journal;
struct journal_reader;

struct journal_options {
	uint32_t map_gib;
	bool read_only;
};

/* What the journal keeps count of, since the beginning. */
struct journal_totals {
	uint64_t events;
	uint64_t lines; /* rows of transactions_cln */
	uint64_t quarantined;
};

/* ERROR_NOT_FOUND: read only, and nothing was collected yet. */
int journal_open(const char *dir, const struct journal_options *options, struct journal **out, struct error *err);
void journal_close(struct journal *journal);

/* The write transaction. After any error of what is done in it: journal_abort. A commit ends it, also one that fails: by then it
 * may be another thread's turn. */
int journal_begin(struct journal *journal, struct error *err);
int journal_commit(struct journal *journal, struct error *err);
void journal_abort(struct journal *journal);
/* Bytes of the blocks that were committed since it was opened. Any thread. */
uint64_t journal_appended(const struct journal *journal);

/* Appends a block (block_writer_finish); *seq is its number. */
int journal_append(struct journal *journal, struct slice block, uint64_t *seq, struct error *err);
/* Puts or replaces a source's position; key 1 to 500 bytes. */
int journal_position_set(struct journal *journal, struct slice key, struct slice position, struct error *err);
/* In the write transaction; ERROR_NOT_FOUND when there is none. The slice lives until the next change. */
int journal_position(struct journal *journal, struct slice key, struct slice *position, struct error *err);
/* In the write transaction: calls `each` for every position whose key begins with prefix, in order of key, until it returns
 * non-zero. It must not change the journal. */
int journal_positions(struct journal *journal, struct slice prefix,
		      int (*each)(void *context, struct slice key, struct slice position), void *context,
		      struct error *err);

enum journal_id_state {
	JOURNAL_ID_NEW = 0,      /* now it is in the index */
	JOURNAL_ID_SAME = 1,     /* had already, with this payload */
	JOURNAL_ID_CONFLICT = 2, /* had already, with another payload */
};
/* Looks an event's id up (128-bit hash of source and id) and remembers it with the hash of its payload. */
int journal_id_add(struct journal *journal, const unsigned char id_hash[16], uint64_t payload_hash,
		   enum journal_id_state *state, struct error *err);
/* Forgets an id that this transaction has added: whoever sent the event takes it back. */
int journal_id_remove(struct journal *journal, const unsigned char id_hash[16], struct error *err);

/* Sets a consumer's offset ("table"). */
int journal_offset_set(struct journal *journal, const char *consumer, uint64_t offset, struct error *err);
/* Deletes blocks before `until`, at most `most` of them; *n is how many went. */
int journal_trim(struct journal *journal, uint64_t until, unsigned most, unsigned *n, struct error *err);

/* A reader sees the state of the moment it was opened (or renewed). */
int journal_reader_open(struct journal *journal, struct journal_reader **out, struct error *err);
int journal_reader_renew(struct journal_reader *reader, struct error *err);
/* Lets go of that moment's state, so that the pages of blocks that are trimmed can be used again; before anything is read,
 * journal_reader_renew. For who waits. */
void journal_reader_rest(struct journal_reader *reader);
void journal_reader_close(struct journal_reader *reader);

/* Number of the next block that will be appended, and of the first that is still there (equal when there is none). */
int journal_reader_range(struct journal_reader *reader, uint64_t *first, uint64_t *next, struct error *err);
/* ERROR_NOT_FOUND: trimmed, or not yet there. The slice lives until the reader is renewed or closed. */
int journal_reader_block(struct journal_reader *reader, uint64_t seq, struct slice *block, struct error *err);
/* Adds up the counts of blocks `first` to `next` - 1, and stops behind the block with which their lines (quarantined ones
 * included) come to `most`. *end is the block behind the last one counted; sum->time_us is 0. `end` may be NULL. */
int journal_reader_count(struct journal_reader *reader, uint64_t first, uint64_t next, uint64_t most,
			 struct block_counts *sum, uint64_t *end, struct error *err);
/* 1 when the consumer has none yet. */
int journal_reader_offset(struct journal_reader *reader, const char *consumer, uint64_t *offset, struct error *err);
int journal_reader_totals(struct journal_reader *reader, struct journal_totals *out, struct error *err);
/* Bytes that blocks, positions and ids use in the file, and the file's size. */
int journal_reader_sizes(struct journal_reader *reader, uint64_t *used_bytes, uint64_t *file_bytes, struct error *err);
/* Calls `each` for every position whose key begins with prefix, in order of key, until it returns non-zero. */
int journal_reader_positions(struct journal_reader *reader, struct slice prefix,
			     int (*each)(void *context, struct slice key, struct slice position), void *context,
			     struct error *err);

#endif
