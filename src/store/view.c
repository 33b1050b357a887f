/*
 * The environment has four databases:
 *
 *     name       key                      value
 *     profiles   customer                 u32 checksum, then seven texts (varint length, bytes): name, email, since, card,
 *                                         birth_date, gender, and signed birth_year
 *     accounts   customer                 u32 checksum, then the account's record (src/loyalty/record.c)
 *     marked     customer                 nothing: the account waits for the batch layer. A view of before has no such database
 *     meta       text                     "format": 1 byte 1, 1 byte id type; "offset": varint; "profiles": version text;
 *                                       "rules": text
 *
 * customer: 8 bytes big-endian with the sign bit flipped (integer), or the id's bytes (text). checksum: the low half of
 * XXH3-64 of key and value, little-endian. Recovery: none; LMDB is copy-on-write.
 */
#include "store/view.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "store/env_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#define FORMAT         1
#define CHECKSUM_BYTES 4u

static_assert(LIMIT_CUSTOMER_ID_BYTES <= 511, "LMDB takes keys of at most 511 bytes");

struct view {
	MDB_env *env;
	MDB_dbi profiles;
	MDB_dbi accounts;
	MDB_dbi marked;
	MDB_dbi meta;
	bool has_marked; /* the database is there; always, when it is written to */
	enum customer_id_type id_type;
	MDB_txn *read;
	MDB_txn *write;
	MDB_cursor *accounts_cursor; /* of the write transaction; NULL: none was needed yet */
	struct buf value;            /* scratch of puts */
};

struct view_walk {
	struct view *view;
	MDB_cursor *cursor; /* NULL: there is nothing to walk */
	bool with_records;
	bool started;
};

struct key {
	char bytes[LIMIT_CUSTOMER_ID_BYTES];
	size_t len;
};

static int key_of(const struct view *view, const struct customer_id *id, struct key *key, struct error *err)
{
	if (id->guest)
		return error_set(err, ERROR_INPUT, "a guest has no account");
	if (view->id_type == CUSTOMER_ID_INTEGER) {
		const uint64_t flipped = (uint64_t)id->number ^ (UINT64_C(1) << 63);
		for (unsigned i = 0; i < 8; i++)
			key->bytes[i] = (char)(flipped >> (56 - 8 * i));
		key->len = 8;
		return 0;
	}
	if (id->text.len == 0 || id->text.len > sizeof(key->bytes))
		return error_set(err, ERROR_INPUT, "a customer id of %zu bytes; 1 to %u are possible", id->text.len,
				 LIMIT_CUSTOMER_ID_BYTES);
	memcpy(key->bytes, id->text.data, id->text.len);
	key->len = id->text.len;
	return 0;
}

static int id_of_key(const struct view *view, struct slice key, struct customer_id *id)
{
	*id = (struct customer_id){0};
	if (view->id_type == CUSTOMER_ID_TEXT) {
		id->text = key;
		return key.len ? 0 : ERROR_CORRUPT;
	}
	if (key.len != 8)
		return ERROR_CORRUPT;
	uint64_t flipped = 0;
	for (unsigned i = 0; i < 8; i++)
		flipped = flipped << 8 | (unsigned char)key.data[i];
	id->number = (int64_t)(flipped ^ (UINT64_C(1) << 63));
	return 0;
}

static uint32_t checksum(struct slice key, struct slice value)
{
	return (uint32_t)XXH3_64bits_withSeed(value.data, value.len, XXH3_64bits(key.data, key.len));
}

/* Checks and cuts off the checksum. */
static int checked(struct slice key, const MDB_val *stored, struct slice *value, struct error *err)
{
	struct reader r = reader_of((struct slice){stored->mv_data, stored->mv_size});
	const uint32_t sum = read_u32(&r);
	const struct slice rest = {(const char *)r.at, (size_t)(r.end - r.at)};
	if (r.bad || sum != checksum(key, rest))
		return error_set(err, ERROR_CORRUPT,
				 "a record of the customer view is damaged; move data/view away and run `punchcard "
				 "load` and `punchcard collect --once`");
	*value = rest;
	return 0;
}

static int view_error(struct view *view, int rc, struct error *err, const char *doing)
{
	return env_error(view->env, rc, err, doing);
}

static int check_format(struct view *view, MDB_txn *txn, bool read_only)
{
	char format[2] = {FORMAT, (char)view->id_type};
	MDB_val key = {.mv_size = 6, .mv_data = (char[]){"format"}};
	MDB_val value;
	const int rc = mdb_get(txn, view->meta, &key, &value);
	if (rc == 0)
		return value.mv_size == sizeof(format) && memcmp(value.mv_data, format, sizeof(format)) == 0
			       ? 0
			       : MDB_INCOMPATIBLE;
	if (rc != MDB_NOTFOUND || read_only)
		return rc;
	value = (MDB_val){.mv_size = sizeof(format), .mv_data = format};
	return mdb_put(txn, view->meta, &key, &value, 0);
}

static int open_databases(struct view *view, bool read_only)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(view->env, NULL, read_only ? MDB_RDONLY : 0, &txn);
	if (rc != 0)
		return rc;
	const unsigned make = read_only ? 0 : MDB_CREATE;
	rc = mdb_dbi_open(txn, "marked", make, &view->marked);
	view->has_marked = rc == 0;
	if ((rc != 0 && !(read_only && rc == MDB_NOTFOUND)) ||
	    (rc = mdb_dbi_open(txn, "profiles", make, &view->profiles)) != 0 ||
	    (rc = mdb_dbi_open(txn, "accounts", make, &view->accounts)) != 0 ||
	    (rc = mdb_dbi_open(txn, "meta", make, &view->meta)) != 0 ||
	    (rc = check_format(view, txn, read_only)) != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

int view_open(const char *dir, const struct view_options *options, struct view **out, struct error *err)
{
	struct view *const view = calloc(1, sizeof(*view));
	if (!view)
		return error_no_memory(err, sizeof(*view));
	view->id_type = options->id_type;
	const struct env_options env_options = {.what = "customer view",
						.remedy = "move the directory away: `punchcard collect --once` and "
							  "loading any customer file make it again",
						.map_gib = options->map_gib,
						.databases = 4,
						.read_only = options->read_only};
	int rc = env_open(dir, &env_options, &view->env, err);
	if (rc < 0) {
		free(view);
		return rc;
	}
	const int code = open_databases(view, options->read_only);
	if (code == 0) {
		*out = view;
		return 0;
	}
	if (code == MDB_INCOMPATIBLE)
		rc = error_set(err, ERROR_CORRUPT,
			       "the customer view in %s was made for another type of customer ids or by another "
			       "version; set customer_id in punchcard.yaml as it was",
			       dir);
	else if (code == MDB_NOTFOUND && options->read_only)
		rc = error_set(err, ERROR_NOT_FOUND, "there is no customer view in %s yet", dir);
	else
		rc = view_error(view, code, err, "open the customer view");
	view_close(view);
	return rc;
}

void view_close(struct view *view)
{
	if (!view)
		return;
	view_read_end(view);
	view_write_abort(view);
	env_close(view->env);
	buf_release(&view->value);
	free(view);
}

int view_read_begin(struct view *view, struct error *err)
{
	const int rc = mdb_txn_begin(view->env, NULL, MDB_RDONLY, &view->read);
	return rc == 0 ? 0 : view_error(view, rc, err, "read the customer view");
}

void view_read_end(struct view *view)
{
	if (view->read)
		mdb_txn_abort(view->read);
	view->read = NULL;
}

static MDB_txn *any_txn(const struct view *view)
{
	MDB_txn *const txn = view->write ? view->write : view->read;
	assert(txn);
	return txn;
}

static int not_found(const struct view *view, const struct customer_id *id, struct error *err)
{
	if (view->id_type == CUSTOMER_ID_INTEGER)
		return error_set(err, ERROR_NOT_FOUND, "there is no customer %lld", (long long)id->number);
	return error_set(err, ERROR_NOT_FOUND, "there is no customer '%.*s'", (int)id->text.len, id->text.data);
}

static int get(struct view *view, MDB_dbi dbi, const struct customer_id *id, struct slice *value, struct error *err)
{
	struct key key;
	int rc = key_of(view, id, &key, err);
	if (rc < 0)
		return rc;
	MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
	MDB_val v;
	rc = mdb_get(any_txn(view), dbi, &k, &v);
	if (rc == MDB_NOTFOUND)
		return not_found(view, id, err);
	if (rc != 0)
		return view_error(view, rc, err, "read the customer view");
	return checked((struct slice){key.bytes, key.len}, &v, value, err);
}

/* Fills in a value that was reserved. */
static void fill(const struct key *key, const MDB_val *reserved, struct slice value)
{
	char *const p = put_u32(reserved->mv_data, checksum((struct slice){key->bytes, key->len}, value));
	memcpy(p, value.data, value.len);
}

static int put(struct view *view, MDB_dbi dbi, const struct customer_id *id, struct slice value, unsigned flags,
	       struct error *err)
{
	struct key key;
	int rc = key_of(view, id, &key, err);
	if (rc < 0)
		return rc;
	MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
	MDB_val v = {.mv_size = CHECKSUM_BYTES + value.len};
	rc = mdb_put(view->write, dbi, &k, &v, flags | MDB_RESERVE);
	if (rc == MDB_KEYEXIST)
		return error_set(err, ERROR_INPUT, "customers are not in ascending order");
	if (rc != 0)
		return view_error(view, rc, err, "write the customer view");
	fill(&key, &v, value);
	return 0;
}

int view_profile(struct view *view, const struct customer_id *id, struct profile *out, struct error *err)
{
	struct slice value = {0};
	const int rc = get(view, view->profiles, id, &value, err);
	if (rc < 0)
		return rc;
	struct reader r = reader_of(value);
	struct profile profile;
	profile.name = read_slice(&r);
	profile.email = read_slice(&r);
	profile.since = read_slice(&r);
	profile.card = read_slice(&r);
	profile.birth_date = read_slice(&r);
	profile.gender = read_slice(&r);
	profile.birth_year = (int32_t)read_signed(&r);
	if (r.bad || r.at != r.end)
		return error_set(err, ERROR_CORRUPT,
				 "a profile of the customer view is of another version; load a customer file again");
	*out = profile;
	return 0;
}

int view_counts(struct view *view, uint64_t *profiles, uint64_t *accounts, struct error *err)
{
	MDB_stat p;
	MDB_stat a;
	int rc;
	if ((rc = mdb_stat(any_txn(view), view->profiles, &p)) != 0 ||
	    (rc = mdb_stat(any_txn(view), view->accounts, &a)) != 0)
		return view_error(view, rc, err, "count the customer view");
	*profiles = p.ms_entries;
	*accounts = a.ms_entries;
	return 0;
}

int view_marked_count(struct view *view, uint64_t *marked, struct error *err)
{
	MDB_stat stat = {0};
	const int rc = view->has_marked ? mdb_stat(any_txn(view), view->marked, &stat) : 0;
	if (rc != 0)
		return view_error(view, rc, err, "count the customer view");
	*marked = stat.ms_entries;
	return 0;
}

int view_write_begin(struct view *view, struct error *err)
{
	assert(!view->write);
	const int rc = mdb_txn_begin(view->env, NULL, 0, &view->write);
	return rc == 0 ? 0 : view_error(view, rc, err, "begin to write the customer view");
}

static void close_cursor(struct view *view)
{
	if (view->accounts_cursor)
		mdb_cursor_close(view->accounts_cursor);
	view->accounts_cursor = NULL;
}

void view_write_abort(struct view *view)
{
	close_cursor(view);
	if (view->write)
		mdb_txn_abort(view->write);
	view->write = NULL;
}

static int commit(struct view *view, struct error *err)
{
	MDB_txn *const txn = view->write;
	close_cursor(view);
	view->write = NULL;
	const int rc = mdb_txn_commit(txn);
	return rc == 0 ? 0 : view_error(view, rc, err, "write the customer view");
}

static int begin_empty(struct view *view, MDB_dbi dbi, struct error *err)
{
	int rc = view_write_begin(view, err);
	if (rc < 0)
		return rc;
	rc = mdb_drop(view->write, dbi, 0);
	if (rc == 0)
		return 0;
	view_write_abort(view);
	return view_error(view, rc, err, "empty the customer view");
}

int view_profiles_begin(struct view *view, struct error *err)
{
	return begin_empty(view, view->profiles, err);
}

int view_accounts_clear(struct view *view, struct error *err)
{
	int rc = begin_empty(view, view->accounts, err);
	if (rc < 0)
		return rc;
	rc = mdb_drop(view->write, view->marked, 0);
	if (rc == 0)
		return 0;
	view_write_abort(view);
	return view_error(view, rc, err, "empty the customer view");
}

int view_profiles_put(struct view *view, const struct customer_id *id, const struct profile *profile, struct error *err)
{
	const struct slice texts[] = {profile->name, profile->email,      profile->since,
				      profile->card, profile->birth_date, profile->gender};
	size_t room = VARINT_MAX_BYTES;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		room += VARINT_MAX_BYTES + texts[i].len;
	buf_clear(&view->value);
	if (buf_reserve(&view->value, room) < 0)
		return error_no_memory(err, room);
	char *p = view->value.data;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		p = put_slice(p, texts[i]);
	p = put_signed(p, profile->birth_year);
	return put(view, view->profiles, id, (struct slice){view->value.data, (size_t)(p - view->value.data)},
		   MDB_APPEND, err);
}

static int put_meta(struct view *view, const char *name, struct slice value, struct error *err)
{
	char key_text[16];
	const size_t len = strlen(name);
	assert(len < sizeof(key_text));
	memcpy(key_text, name, len);
	MDB_val key = {.mv_size = len, .mv_data = key_text};
	MDB_val v = {.mv_size = value.len};
	const int rc = mdb_put(view->write, view->meta, &key, &v, MDB_RESERVE);
	if (rc != 0)
		return view_error(view, rc, err, "write the customer view");
	memcpy(v.mv_data, value.data, value.len);
	return 0;
}

static int get_meta(struct view *view, const char *name, struct slice *value, struct error *err)
{
	char key_text[16];
	const size_t len = strlen(name);
	assert(len < sizeof(key_text));
	memcpy(key_text, name, len);
	MDB_val key = {.mv_size = len, .mv_data = key_text};
	MDB_val v;
	const int rc = mdb_get(any_txn(view), view->meta, &key, &v);
	if (rc == MDB_NOTFOUND) {
		*value = (struct slice){NULL, 0};
		return 0;
	}
	if (rc != 0)
		return view_error(view, rc, err, "read the customer view");
	*value = (struct slice){v.mv_data, v.mv_size};
	return 0;
}

int view_profiles_commit(struct view *view, const char *version, struct error *err)
{
	const int rc = put_meta(view, "profiles", slice_of(version), err);
	if (rc < 0) {
		view_write_abort(view);
		return rc;
	}
	return commit(view, err);
}

void view_profiles_abort(struct view *view)
{
	view_write_abort(view);
}

int view_profiles_version(struct view *view, struct buf *out, struct error *err)
{
	struct slice version = {0};
	const int rc = get_meta(view, "profiles", &version, err);
	if (rc < 0)
		return rc;
	return buf_append(out, version.data, version.len) < 0 ? error_no_memory(err, version.len) : 0;
}

/* One cursor reads and writes: in ascending order the next account is nearly always in the page where it stands, and no way down
 * the tree is gone twice. */
static int open_cursor(struct view *view, struct error *err)
{
	if (view->accounts_cursor)
		return 0;
	const int rc = mdb_cursor_open(view->write, view->accounts, &view->accounts_cursor);
	return rc == 0 ? 0 : view_error(view, rc, err, "write the customer view");
}

int view_account(struct view *view, const struct customer_id *id, struct slice *record, struct error *err)
{
	if (!view->write)
		return get(view, view->accounts, id, record, err);
	struct key key;
	int rc = key_of(view, id, &key, err);
	if (rc == 0)
		rc = open_cursor(view, err);
	if (rc < 0)
		return rc;
	MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
	MDB_val v;
	rc = mdb_cursor_get(view->accounts_cursor, &k, &v, MDB_SET);
	if (rc == MDB_NOTFOUND)
		return not_found(view, id, err);
	if (rc != 0)
		return view_error(view, rc, err, "read the customer view");
	return checked((struct slice){key.bytes, key.len}, &v, record, err);
}

int view_account_put(struct view *view, const struct customer_id *id, struct slice record, struct error *err)
{
	struct key key;
	int rc = key_of(view, id, &key, err);
	if (rc == 0)
		rc = open_cursor(view, err);
	if (rc < 0)
		return rc;
	MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
	MDB_val v = {.mv_size = CHECKSUM_BYTES + record.len};
	rc = mdb_cursor_put(view->accounts_cursor, &k, &v, MDB_RESERVE);
	if (rc != 0)
		return view_error(view, rc, err, "write the customer view");
	fill(&key, &v, record);
	return 0;
}

int view_account_append(struct view *view, const struct customer_id *id, struct slice record, struct error *err)
{
	return put(view, view->accounts, id, record, MDB_APPEND, err);
}

int view_mark(struct view *view, const struct customer_id *id, struct error *err)
{
	struct key key;
	int rc = key_of(view, id, &key, err);
	if (rc < 0)
		return rc;
	MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
	MDB_val nothing = {.mv_size = 0, .mv_data = key.bytes};
	rc = mdb_put(view->write, view->marked, &k, &nothing, 0);
	return rc == 0 ? 0 : view_error(view, rc, err, "write the customer view");
}

int view_unmark(struct view *view, const struct customer_id *id, struct error *err)
{
	struct key key;
	int rc = key_of(view, id, &key, err);
	if (rc < 0)
		return rc;
	MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
	rc = mdb_del(view->write, view->marked, &k, NULL);
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : view_error(view, rc, err, "write the customer view");
}

int view_write_commit(struct view *view, uint64_t offset, struct error *err)
{
	char bytes[VARINT_MAX_BYTES];
	const int rc =
		put_meta(view, "offset", (struct slice){bytes, (size_t)(put_varint(bytes, offset) - bytes)}, err);
	if (rc < 0) {
		view_write_abort(view);
		return rc;
	}
	return commit(view, err);
}

int view_rules(struct view *view, struct slice *rules, struct error *err)
{
	return get_meta(view, "rules", rules, err);
}

int view_rules_set(struct view *view, struct slice rules, struct error *err)
{
	return put_meta(view, "rules", rules, err);
}

int view_offset(struct view *view, uint64_t *offset, struct error *err)
{
	struct slice value = {0};
	const int rc = get_meta(view, "offset", &value, err);
	if (rc < 0)
		return rc;
	if (!value.len) {
		*offset = 1;
		return 0;
	}
	struct reader r = reader_of(value);
	const uint64_t number = read_varint(&r);
	if (r.bad)
		return error_set(err, ERROR_CORRUPT, "the customer view's offset is damaged; move data/view away");
	*offset = number;
	return 0;
}

static int open_walk(struct view *view, const MDB_dbi *dbi, bool with_records, struct view_walk **out,
		     struct error *err)
{
	struct view_walk *const walk = calloc(1, sizeof(*walk));
	if (!walk)
		return error_no_memory(err, sizeof(*walk));
	walk->view = view;
	walk->with_records = with_records;
	const int rc = dbi ? mdb_cursor_open(any_txn(view), *dbi, &walk->cursor) : 0;
	if (rc != 0) {
		free(walk);
		return view_error(view, rc, err, "read the customer view");
	}
	*out = walk;
	return 0;
}

int view_walk_open(struct view *view, struct view_walk **out, struct error *err)
{
	return open_walk(view, &view->accounts, true, out, err);
}

int view_walk_open_marked(struct view *view, struct view_walk **out, struct error *err)
{
	return open_walk(view, view->has_marked ? &view->marked : NULL, false, out, err);
}

int view_walk_next(struct view_walk *walk, struct customer_id *id, struct slice *record, bool *found, struct error *err)
{
	MDB_val key;
	MDB_val value;
	const int rc = walk->cursor ? mdb_cursor_get(walk->cursor, &key, &value, walk->started ? MDB_NEXT : MDB_FIRST)
				    : MDB_NOTFOUND;
	walk->started = true;
	if (rc == MDB_NOTFOUND) {
		*found = false;
		return 0;
	}
	if (rc != 0)
		return view_error(walk->view, rc, err, "read the customer view");
	const struct slice k = {key.mv_data, key.mv_size};
	if (id_of_key(walk->view, k, id) < 0)
		return error_set(err, ERROR_CORRUPT, "a key of the customer view is damaged; move data/view away");
	*found = true;
	if (walk->with_records)
		return checked(k, &value, record, err);
	*record = (struct slice){NULL, 0};
	return 0;
}

void view_walk_close(struct view_walk *walk)
{
	if (!walk)
		return;
	if (walk->cursor)
		mdb_cursor_close(walk->cursor);
	free(walk);
}
