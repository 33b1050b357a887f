/* Customer files of a cluster: landed, read, and their rows. */
#include "base/file.h"
#include "base/limits.h"
#include "cluster/load_internal.h"
#include "cluster/warehouse_files.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LANDED        "warehouse/customers"
#define FORMAT_PREFIX "format="
#define MODEL_BYTES   ((size_t)1024 * 1024) /* a model is read by people */
#define ENGINE_MIB    256u

/* What is below data/ on one machine is below cluster.hdfs.path here. */
#define HERE "data/"

/* ---- what has landed ---- */

struct listing {
	struct landing *landing;
	const char *format; /* of the directory that is listed */
	struct buf formats; /* names, each with a NUL */
};

static int on_format(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct listing *const listing = context;
	if (!stat->is_dir || strncmp(name, FORMAT_PREFIX, strlen(FORMAT_PREFIX)) != 0)
		return 0;
	return buf_append(&listing->formats, name, strlen(name) + 1) < 0 ? error_no_memory(err, strlen(name)) : 0;
}

static int on_landed(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct listing *const listing = context;
	return stat->is_dir ? 0 : landing_add(listing->landing, listing->format, name, stat->mtime_ms * 1000, err);
}

static int list_landed(struct cluster_load *load, struct error *err)
{
	struct listing listing = {.landing = load->landing};
	int rc = warehouse_list(load->session.warehouse, LANDED, on_format, &listing, err);
	if (rc == ERROR_NOT_FOUND)
		rc = 0;
	for (size_t at = 0; rc == 0 && at < listing.formats.len; at += strlen(listing.formats.data + at) + 1) {
		const char *const name = listing.formats.data + at;
		_cleanup_free_ char *dir = text_printf(LANDED "/%s", name);
		listing.format = name + strlen(FORMAT_PREFIX);
		rc = dir ? warehouse_list(load->session.warehouse, dir, on_landed, &listing, err)
			 : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	buf_release(&listing.formats);
	return rc;
}

static int stage(struct cluster_load *load, const char *const *paths, size_t n_paths, const char *format,
		 struct error *err)
{
	load->given = calloc(n_paths, sizeof(*load->given));
	if (!load->given)
		return error_no_memory(err, n_paths * sizeof(*load->given));
	for (size_t i = 0; i < n_paths; i++) {
		struct load_given *const given = &load->given[i];
		const int rc = landing_stage(load->landing, paths[i], format, &given->index, &given->known, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- how they are read ---- */

static int find_format(struct cluster_load *load, const struct landed_file *landed, struct customer_format **out,
		       struct error *err)
{
	for (size_t i = 0; i < load->n_formats; i++) {
		if (strcmp(customer_format_name(load->formats[i]), landed->format) == 0) {
			*out = load->formats[i];
			return 0;
		}
	}
	const struct config *const config = load->session.deployment->config;
	const size_t size = (load->n_formats + 1) * sizeof(struct customer_format *);
	struct customer_format **const formats = realloc(load->formats, size);
	if (!formats)
		return error_no_memory(err, size);
	load->formats = formats;
	const int rc = customer_format_new(config, landed->format, &formats[load->n_formats], err);
	if (rc == ERROR_USAGE && !landed->staged)
		return error_set(
			err, ERROR_CONFIG,
			"%s was loaded with the customer mapping '%s', which %s does not have; put the mapping "
			"there, or remove the file",
			landed->name, landed->format, config->path);
	if (rc < 0)
		return rc;
	*out = formats[load->n_formats++];
	return 0;
}

/* What decides its rows, and of which type they are. */
static int describe(const struct cluster_load *load, size_t index, struct buf *out)
{
	assert(load->all.files[index].landed);
	const bool is_text = load->session.tables.id_type == CUSTOMER_ID_TEXT;
	const int rc =
		buf_printf(out, "\n%s\nids %s\n", load->all.files[index].landed->name, is_text ? "text" : "integer");
	return rc < 0 ? rc : customer_version_describe(&load->all.files[index], out);
}

static int name_rows(struct cluster_load *load, size_t index, struct error *err)
{
	const struct landed_file *const landed = load->all.files[index].landed;
	struct load_file *const file = &load->files[index];
	_cleanup_buf_ struct buf text = {0};
	if (describe(load, index, &text) < 0)
		return error_no_memory(err, text.len);
	customer_version_hash((struct slice){text.data, text.len}, file->hash);
	file->rows = text_printf("%06llu-%s-%.16s.parquet", (unsigned long long)landed->seq, landed->hash, file->hash);
	return file->rows ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

static int check_header(struct cluster_load *load, size_t index, struct customer_format *format, struct error *err)
{
	const struct landed_file *const landed = load->all.files[index].landed;
	struct customer_reader *reader = NULL;
	const int rc = customer_reader_open(landed->path, landed->shown, format, &reader, err);
	customer_reader_close(reader);
	return rc;
}

static int prepare(struct cluster_load *load, struct error *err)
{
	const size_t n = load->landing->n_files;
	load->all.files = calloc(n + 1, sizeof(*load->all.files));
	load->files = calloc(n + 1, sizeof(*load->files));
	if (!load->all.files || !load->files)
		return error_no_memory(err, n * sizeof(*load->all.files));
	load->all.n_files = n;
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct landed_file *const landed = &load->landing->files[i];
		struct customer_format *format = NULL;
		/* As the file is found there. */
		if (strncmp(landed->name, HERE, strlen(HERE)) == 0)
			memmove(landed->name, landed->name + strlen(HERE), strlen(landed->name + strlen(HERE)) + 1);
		load->all.files[i].landed = landed;
		rc = find_format(load, landed, &format, err);
		load->all.files[i].format = format;
		if (rc == 0 && landed->staged)
			rc = check_header(load, i, format, err);
		if (rc == 0)
			rc = name_rows(load, i, err);
	}
	return rc;
}

static int make_version(struct cluster_load *load, struct error *err)
{
	_cleanup_free_ char *model = text_printf("%s/customers_cln.sql", load->session.deployment->models_dir);
	_cleanup_buf_ struct buf text = {0};
	int rc = model ? file_read_all(model, MODEL_BYTES, &text, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	for (size_t i = 0; i < load->all.n_files && rc == 0; i++)
		rc = describe(load, i, &text) < 0 ? error_no_memory(err, text.len) : 0;
	if (rc == 0)
		customer_version_hash((struct slice){text.data, text.len}, load->version);
	return rc;
}

int load_files_open(struct cluster_load *load, const char *const *paths, size_t n_paths, const char *format,
		    struct error *err)
{
	int rc = landing_new(load->session.deployment, &load->landing, err);
	if (rc == 0)
		rc = list_landed(load, err);
	if (rc == 0)
		rc = stage(load, paths, n_paths, format, err);
	if (rc == 0)
		rc = prepare(load, err);
	return rc == 0 ? make_version(load, err) : rc;
}

/* ---- reading ---- */

#define QUARANTINE "quarantine"
#define CUSTOMERS  "customers-"

static char *quarantine_name(const struct load_file *file)
{
	return text_printf(CUSTOMERS "%s.parquet", file->hash);
}

static int put_quarantine(struct cluster_load *load, size_t index, const char *local, struct error *err)
{
	_cleanup_free_ char *name = quarantine_name(&load->files[index]);
	_cleanup_free_ char *to = name ? text_printf(QUARANTINE "/%s", name) : NULL;
	if (!to)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	/* That of a load that was killed has another time. */
	const int rc = warehouse_remove(load->session.warehouse, to, err);
	return rc < 0 ? rc : warehouse_put_file(load->session.warehouse, to, local, err);
}

static int on_rows(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct buf *const names = context;
	(void)stat;
	return buf_append(names, name, strlen(name) + 1) < 0 ? error_no_memory(err, strlen(name)) : 0;
}

static bool has_rows(const struct cluster_load *load, const char *name)
{
	for (size_t at = 0; at < load->there.len; at += strlen(load->there.data + at) + 1)
		if (strcmp(load->there.data + at, name) == 0)
			return true;
	return false;
}

/* The file, here: of one that has landed a copy of what landed, for the user's file may have changed meanwhile. */
static int fetch(struct cluster_load *load, size_t index, struct error *err)
{
	struct landed_file *const landed = &load->landing->files[index];
	if (*landed->path)
		return 0;
	char *const local = text_printf("%s/landed-%zu", load->session.deployment->tmp_dir, index);
	if (!local)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	free(landed->path);
	landed->path = local;
	return cluster_download(&load->session, landed->name, local, err);
}

static void drop_copy(struct cluster_load *load, size_t index)
{
	struct landed_file *const landed = &load->landing->files[index];
	if (landed->staged || !*landed->path)
		return;
	unlink(landed->path);
	*landed->path = '\0';
}

/* Its rows by the engine: one of its own, for the rows of others are of another source. */
static int write_rows(struct cluster_load *load, size_t index, const char *path, struct engine *engine,
		      struct customer_files *one, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	int rc = customer_tables_attach(engine, one, err);
	if (rc < 0)
		return rc;
	if (buf_printf(&sql, "COPY (SELECT * REPLACE (%llu::BIGINT AS file_no) FROM customers) TO ",
		       (unsigned long long)load->landing->files[index].seq) < 0 ||
	    engine_quote(&sql, path) < 0 || buf_append_text(&sql, " (FORMAT parquet)") < 0 || !buf_text(&sql))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	return engine_run(engine, sql.data, err);
}

static int read_with(struct cluster_load *load, size_t index, const char *path, struct engine *engine,
		     struct error *err)
{
	struct customer_files one = {.files = &load->all.files[index], .n_files = 1, .config = load->all.config};
	pthread_mutex_init(&one.lock, NULL);
	int rc = write_rows(load, index, path, engine, &one, err);
	if (rc == 0 && customer_file_bad_lines(&load->all.files[index])) {
		_cleanup_free_ char *bad = text_printf("%s/bad-%zu.parquet", load->session.deployment->tmp_dir, index);
		rc = bad ? customer_tables_quarantine(engine, &one, 0, bad, err)
			 : error_no_memory(err, LIMIT_PATH_BYTES);
		if (rc == 0)
			rc = put_quarantine(load, index, bad, err);
		if (bad)
			unlink(bad);
	}
	pthread_mutex_destroy(&one.lock);
	return rc;
}

/* Bad lines first: whose rows are in the warehouse, his are there, too. */
static int read_file(struct cluster_load *load, size_t index, struct error *err)
{
	const struct deployment *const deployment = load->session.deployment;
	const struct engine_options options = {.memory_mib = ENGINE_MIB, .threads = 1, .tmp_dir = deployment->tmp_dir};
	_cleanup_free_ char *path = text_printf("%s/rows-%zu.parquet", deployment->tmp_dir, index);
	_cleanup_free_ char *to = text_printf(LOAD_ROWS "/%s", load->files[index].rows);
	struct engine *engine = NULL;
	int rc = path && to ? fetch(load, index, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc == 0)
		rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = read_with(load, index, path, engine, err);
	engine_close(engine);
	/* That of a load that was killed may have been written by another version of the engine. */
	if (rc == 0)
		rc = warehouse_remove(load->session.warehouse, to, err);
	if (rc == 0)
		rc = warehouse_put_file(load->session.warehouse, to, path, err);
	if (path)
		unlink(path);
	drop_copy(load, index);
	return rc;
}

static int count_file(struct cluster_load *load, size_t index, struct error *err)
{
	if (load->all.files[index].is_counted)
		return 0;
	int rc = fetch(load, index, err);
	if (rc == 0)
		rc = customer_file_count(&load->all, index, err);
	drop_copy(load, index);
	return rc;
}

static bool is_expected(const struct cluster_load *load, const char *name)
{
	for (size_t i = 0; i < load->all.n_files; i++)
		if (strcmp(load->files[i].rows, name) == 0)
			return true;
	return false;
}

/* Spark reads all that is in the directory. */
static int remove_stale(struct cluster_load *load, struct error *err)
{
	int rc = 0;
	for (size_t at = 0; rc == 0 && at < load->there.len; at += strlen(load->there.data + at) + 1) {
		const char *const name = load->there.data + at;
		if (is_expected(load, name))
			continue;
		_cleanup_free_ char *path = text_printf(LOAD_ROWS "/%s", name);
		rc = path ? warehouse_remove(load->session.warehouse, path, err)
			  : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	return rc;
}

int load_files_read(struct cluster_load *load, size_t n_paths, struct error *err)
{
	int rc = warehouse_list(load->session.warehouse, LOAD_ROWS, on_rows, &load->there, err);
	if (rc == ERROR_NOT_FOUND)
		rc = 0;
	for (size_t i = 0; rc == 0 && i < load->all.n_files; i++)
		/* Of a new one what a load that was killed has left is not relied on. */
		if (load->landing->files[i].staged || !has_rows(load, load->files[i].rows))
			rc = read_file(load, i, err);
	for (size_t i = 0; rc == 0 && i < n_paths; i++)
		rc = count_file(load, load->given[i].index, err);
	return rc < 0 ? rc : remove_stale(load, err);
}

/* ---- landing ---- */

static int on_quarantine(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct buf *const names = context;
	if (stat->is_dir || strncmp(name, CUSTOMERS, strlen(CUSTOMERS)) != 0)
		return 0;
	return buf_append(names, name, strlen(name) + 1) < 0 ? error_no_memory(err, strlen(name)) : 0;
}

/* Of files that are no longer there, or are read in another way now. */
static int clean_quarantine(struct cluster_load *load, struct error *err)
{
	_cleanup_buf_ struct buf names = {0};
	int rc = warehouse_list(load->session.warehouse, QUARANTINE, on_quarantine, &names, err);
	if (rc == ERROR_NOT_FOUND)
		rc = 0;
	for (size_t at = 0; rc == 0 && at < names.len; at += strlen(names.data + at) + 1) {
		const char *const hash = names.data + at + strlen(CUSTOMERS);
		bool expected = false;
		for (size_t i = 0; !expected && i < load->all.n_files; i++)
			expected = strncmp(hash, load->files[i].hash, CUSTOMER_HASH_CHARS) == 0;
		_cleanup_free_ char *path = text_printf(QUARANTINE "/%s", names.data + at);
		if (!path)
			rc = error_no_memory(err, LIMIT_PATH_BYTES);
		else if (!expected)
			rc = warehouse_remove(load->session.warehouse, path, err);
	}
	return rc;
}

int load_files_land(struct cluster_load *load, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < load->all.n_files; i++) {
		const struct landed_file *const landed = &load->landing->files[i];
		if (landed->staged)
			rc = warehouse_put_file(load->session.warehouse, landed->name, landed->path, err);
	}
	return rc < 0 ? rc : clean_quarantine(load, err);
}

void load_files_release(struct cluster_load *load)
{
	for (size_t i = 0; load->files && i < load->all.n_files; i++) {
		free(load->files[i].rows);
	}
	for (size_t i = 0; i < load->n_formats; i++)
		customer_format_free(load->formats[i]);
	free(load->formats);
	free(load->files);
	free(load->all.files);
	free(load->given);
	buf_release(&load->there);
	landing_free(load->landing);
}
