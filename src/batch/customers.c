#include "batch/customers.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "batch/customer_tables.h"
#include "batch/customer_version.h"
#include "batch/landing.h"
#include "batch/swap.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODEL "customers_cln"
/* A model is read by people. */
#define MODEL_BYTES_MAX (1024u * 1024u)

/* A file of the command line: its place among all landed files. */
struct given {
	size_t index;
	bool known;
};

struct load {
	const struct deployment *deployment;
	struct landing *landing;
	struct given *given; /* one a path */
	struct customer_files all;
	struct customer_format **formats; /* those that the files have */
	size_t n_formats;
	char version[sizeof(MODEL "-.parquet") + CUSTOMER_HASH_CHARS]; /* the file's name of customers_cln */
	struct engine *engine;                                         /* opened when it is needed */
	struct view *view;
	uint64_t customers;
	bool changed;
};

static void release_load(struct load *load)
{
	engine_close(load->engine); /* before what its sources read from */
	view_close(load->view);
	for (size_t i = 0; i < load->n_formats; i++)
		customer_format_free(load->formats[i]);
	free(load->formats);
	free(load->all.files);
	pthread_mutex_destroy(&load->all.lock);
	free(load->given);
	landing_free(load->landing);
}

static int open_engine(struct load *load, struct error *err)
{
	if (load->engine)
		return 0;
	const struct engine_options options = {.memory_mib = load->deployment->config->engine_memory_mib,
					       .threads = load->deployment->config->engine_threads,
					       .tmp_dir = load->deployment->tmp_dir};
	return engine_open(&options, &load->engine, err);
}

static int open_view(struct load *load, struct error *err)
{
	const struct config *const config = load->deployment->config;
	const struct view_options options = {
		.map_gib = config->view_map_gib,
		.id_type = config->customer_id,
	};
	return view_open(load->deployment->view_dir, &options, &load->view, err);
}

/* The format of a landed file, compiled once. */
static int find_format(struct load *load, const struct landed_file *landed, struct customer_format **out,
		       struct error *err)
{
	for (size_t i = 0; i < load->n_formats; i++) {
		if (strcmp(customer_format_name(load->formats[i]), landed->format) == 0) {
			*out = load->formats[i];
			return 0;
		}
	}
	const size_t size = (load->n_formats + 1) * sizeof(struct customer_format *);
	struct customer_format **const formats = realloc(load->formats, size);
	if (!formats)
		return error_no_memory(err, size);
	load->formats = formats;
	const int rc = customer_format_new(load->deployment->config, landed->format, &formats[load->n_formats], err);
	if (rc == ERROR_USAGE && !landed->staged)
		return error_set(
			err, ERROR_CONFIG,
			"%s was loaded with the customer mapping '%s', which %s no longer has; put the mapping "
			"back, or remove the file",
			landed->name, landed->format, load->deployment->config->path);
	if (rc < 0)
		return rc;
	*out = formats[load->n_formats++];
	return 0;
}

/* Copies the files into the temporary directory. */
static int stage_files(struct load *load, const char *const *paths, size_t n_paths, const char *format,
		       struct error *err)
{
	load->given = calloc(n_paths, sizeof(*load->given));
	if (!load->given)
		return error_no_memory(err, n_paths * sizeof(*load->given));
	for (size_t i = 0; i < n_paths; i++) {
		const int rc = landing_stage(load->landing, paths[i], format, &load->given[i].index,
					     &load->given[i].known, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Pairs every landed file with its format; new ones are opened, so that a wrong header is seen before a long work. */
static int prepare_files(struct load *load, struct error *err)
{
	const size_t n = load->landing->n_files;
	load->all.files = calloc(n, sizeof(*load->all.files));
	if (!load->all.files)
		return error_no_memory(err, n * sizeof(*load->all.files));
	load->all.n_files = n;
	for (size_t i = 0; i < n; i++) {
		struct customer_file *const file = &load->all.files[i];
		file->landed = &load->landing->files[i];
		struct customer_format *format = NULL;
		int rc = find_format(load, file->landed, &format, err);
		if (rc < 0)
			return rc;
		file->format = format;
		if (!file->landed->staged)
			continue;
		struct customer_reader *reader = NULL;
		rc = customer_reader_open(file->landed->path, file->landed->shown, format, &reader, err);
		if (rc < 0)
			return rc;
		customer_reader_close(reader);
	}
	return 0;
}

static int make_version(struct load *load, struct error *err)
{
	_cleanup_free_ char *model = text_printf("%s/" MODEL ".sql", load->deployment->models_dir);
	if (!model)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	_cleanup_buf_ struct buf text = {0};
	const int rc = file_read_all(model, MODEL_BYTES_MAX, &text, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < load->all.n_files; i++)
		if (buf_printf(&text, "\n%s\n", load->all.files[i].landed->name) < 0 ||
		    customer_version_describe(&load->all.files[i], &text) < 0)
			return error_no_memory(err, text.len);
	char hash[CUSTOMER_HASH_CHARS + 1];
	customer_version_hash((struct slice){text.data, text.len}, hash);
	memcpy(load->version, MODEL "-", sizeof(MODEL "-"));
	memcpy(load->version + sizeof(MODEL "-") - 1, hash, CUSTOMER_HASH_CHARS);
	memcpy(load->version + sizeof(MODEL "-") - 1 + CUSTOMER_HASH_CHARS, ".parquet", sizeof(".parquet"));
	return 0;
}

/* The quarantine file of a customer file: its name in data/quarantine; "customers-<hash>.parquet". */
static char *quarantine_name(const struct customer_file *file)
{
	_cleanup_buf_ struct buf text = {0};
	if (buf_printf(&text, "%s\n", file->landed->name) < 0 || customer_version_describe(file, &text) < 0)
		return NULL;
	char hash[CUSTOMER_HASH_CHARS + 1];
	customer_version_hash((struct slice){text.data, text.len}, hash);
	return text_printf("customers-%s.parquet", hash);
}

/* Makes the quarantine file of one counted file, if it needs one and has none. */
static int quarantine_file(struct load *load, size_t index, struct error *err)
{
	const struct customer_file *const file = &load->all.files[index];
	assert(file->is_counted);
	if (customer_file_bad_lines(file) == 0)
		return 0;
	_cleanup_free_ char *name = quarantine_name(file);
	_cleanup_free_ char *tmp = text_printf("%s/quarantine.parquet", load->deployment->tmp_dir);
	_cleanup_free_ char *path = name ? text_printf("%s/%s", load->deployment->quarantine_dir, name) : NULL;
	if (!path || !tmp)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (file_exists(path))
		return 0;
	int rc = open_engine(load, err);
	if (rc == 0)
		rc = customer_tables_quarantine(load->engine, &load->all, index, tmp, err);
	return rc < 0 ? rc : file_rename(tmp, path, err);
}

static int quarantine_all(struct load *load, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; i < load->all.n_files && rc == 0; i++)
		rc = quarantine_file(load, i, err);
	return rc;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free((void *)names);
}

/* Removes the quarantine files of customer files that are no longer there, or are read in another way now. */
static int clean_quarantine(const struct load *load, struct error *err)
{
	const size_t n = load->all.n_files;
	char **const names = (char **)calloc(n, sizeof(*names));
	bool complete = names != NULL;
	for (size_t i = 0; i < n && complete; i++)
		complete = (names[i] = quarantine_name(&load->all.files[i])) != NULL;
	DIR *const dir = complete ? opendir(load->deployment->quarantine_dir) : NULL;
	if (!dir) {
		if (names)
			free_names(names, n);
		return complete ? error_errno(err, errno, "cannot list %s", load->deployment->quarantine_dir)
				: error_no_memory(err, n * LIMIT_PATH_BYTES);
	}
	qsort((void *)names, n, sizeof(*names), compare_names);
	for (const struct dirent *entry; (entry = readdir(dir));) {
		const char *const name = entry->d_name;
		if (strncmp(name, "customers-", strlen("customers-")) == 0 &&
		    !bsearch((const void *)&name, (const void *)names, n, sizeof(*names), compare_names))
			unlinkat(dirfd(dir), name, 0);
	}
	closedir(dir);
	free_names(names, n);
	return 0;
}

/* The path of customers_cln's file of this version: the one that is read. */
static char *live_path(const struct load *load)
{
	return text_printf("%s/" MODEL "/%s", load->deployment->warehouse_dir, load->version);
}

/* Puts the staging directory in the place of the live one. */
static int swap_in(const struct load *load, const char *staging, struct error *err)
{
	_cleanup_free_ char *live = text_printf("%s/" MODEL, load->deployment->warehouse_dir);
	if (!live)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (!file_exists(live))
		return file_rename(staging, live, err);
	const int rc = file_exchange(staging, live, err);
	return rc < 0 ? rc : file_remove_tree(staging, err);
}

/* The table in the staging directory, from all files: those that landed and those that will. */
static int stage_table(struct load *load, const char *staging, const char *path, struct error *err)
{
	int rc = file_remove_tree(staging, err);
	if (rc == 0)
		rc = file_make_dirs(staging, err);
	if (rc == 0)
		rc = open_engine(load, err);
	if (rc == 0)
		rc = customer_tables_attach(load->engine, &load->all, err);
	if (rc == 0)
		rc = customer_tables_clean(load->engine, load->deployment->models_dir, path,
					   load->deployment->config->customer_id, err);
	return rc < 0 ? rc : file_sync_dir(staging, err);
}

/* Reads and counts files that the model did not (read to their end): it may leave rows out as it likes. */
static int count_all(struct load *load, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; i < load->all.n_files && rc == 0; i++)
		if (!load->all.files[i].is_counted)
			rc = customer_file_count(&load->all, i, err);
	return rc;
}

/* Everything that belongs to the table and was made ready before gets its place, in an order that a crash may cut anywhere:
 * the files, the quarantine of their bad lines, the table. */
static int publish(struct load *load, const char *staging, struct error *err)
{
	int rc = landing_commit(load->landing, err);
	if (rc == 0)
		rc = quarantine_all(load, err);
	return rc < 0 ? rc : swap_in(load, staging, err);
}

/*
 * Makes the table and the view anew. All that can be wrong with files, model and rows is found before anything gets its
 * place: the rows are in the staging directory and in the view's open transaction by then. The view is committed last: a
 * crash before that leaves an old view beside a new table, which the next load sees.
 */
static int make_table(struct load *load, struct error *err)
{
	const enum customer_id_type id_type = load->deployment->config->customer_id;
	_cleanup_free_ char *staging = text_printf("%s/" MODEL, load->deployment->tmp_dir);
	_cleanup_free_ char *path = staging ? text_printf("%s/%s", staging, load->version) : NULL;
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	landing_sync(load->landing);
	int rc = stage_table(load, staging, path, err);
	if (rc == 0)
		rc = count_all(load, err);
	if (rc == 0)
		rc = customer_tables_feed(load->engine, path, id_type, load->view, &load->customers, err);
	if (rc < 0)
		return rc;
	rc = publish(load, staging, err);
	if (rc < 0) {
		view_profiles_abort(load->view);
		return rc;
	}
	load->changed = true;
	rc = view_profiles_commit(load->view, load->version, err);
	return rc < 0 ? rc : clean_quarantine(load, err);
}

/* Nothing new: counts the given files, and mends what a crash or somebody's hand has left out. */
static int check_files(struct load *load, size_t n_paths, struct error *err)
{
	for (size_t i = 0; i < n_paths; i++) {
		const size_t index = load->given[i].index;
		int rc = load->all.files[index].is_counted ? 0 : customer_file_count(&load->all, index, err);
		if (rc == 0)
			rc = quarantine_file(load, index, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Brings the view to the table's version. */
static int check_view(struct load *load, struct error *err)
{
	_cleanup_buf_ struct buf version = {0};
	uint64_t accounts;
	int rc = view_read_begin(load->view, err);
	if (rc < 0)
		return rc;
	rc = view_profiles_version(load->view, &version, err);
	if (rc == 0)
		rc = view_counts(load->view, &load->customers, &accounts, err);
	view_read_end(load->view);
	if (rc < 0 || slice_is((struct slice){version.data, version.len}, load->version))
		return rc;
	_cleanup_free_ char *path = live_path(load);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	rc = open_engine(load, err);
	if (rc == 0)
		rc = customer_tables_feed(load->engine, path, load->deployment->config->customer_id, load->view,
					  &load->customers, err);
	if (rc == ERROR_CORRUPT)
		return error_prefix(err, "remove %s, then load again", path);
	return rc < 0 ? rc : view_profiles_commit(load->view, load->version, err);
}

static int run_load(struct load *load, const char *const *paths, size_t n_paths, const char *format, struct error *err)
{
	int rc = landing_open(load->deployment, &load->landing, err);
	if (rc == 0)
		rc = open_view(load, err);
	if (rc == 0)
		rc = stage_files(load, paths, n_paths, format, err);
	if (rc == 0)
		rc = prepare_files(load, err);
	if (rc == 0)
		rc = make_version(load, err);
	if (rc < 0)
		return rc;
	_cleanup_free_ char *live = live_path(load);
	if (!live)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (!file_exists(live))
		return make_table(load, err);
	rc = check_files(load, n_paths, err);
	return rc < 0 ? rc : check_view(load, err);
}

int customers_report_add(struct customers_report *report, const char *path, const struct customer_file *file,
			 bool known, struct error *err)
{
	struct customers_file *const files = realloc(report->files, (report->n_files + 1) * sizeof(*files));
	if (!files)
		return error_no_memory(err, (report->n_files + 1) * sizeof(*files));
	report->files = files;
	struct customers_file *const to = &files[report->n_files++];
	*to = (struct customers_file){.path = strdup(path),
				      .landed = strdup(file->landed->name),
				      .format = strdup(file->landed->format),
				      .known = known,
				      .has_header = file->saw_header};
	memcpy(to->counts, file->counts, sizeof(to->counts));
	for (unsigned reason = 0; reason < CUSTOMER_REASONS; reason++)
		report->counts[reason] += file->counts[reason];
	return to->path && to->landed && to->format ? 0 : error_no_memory(err, strlen(path));
}

static int make_report(const struct load *load, const char *const *paths, size_t n_paths, struct customers_report *out,
		       struct error *err)
{
	int rc = 0;
	*out = (struct customers_report){.customers = load->customers, .changed = load->changed};
	for (size_t i = 0; i < n_paths && rc == 0; i++)
		rc = customers_report_add(out, paths[i], &load->all.files[load->given[i].index], load->given[i].known,
					  err);
	if (rc < 0)
		customers_report_release(out);
	return rc;
}

int customers_load(const struct deployment *deployment, const char *const *paths, size_t n_paths, const char *format,
		   struct customers_report *out, struct error *err)
{
	assert(deployment->mode == DEPLOYMENT_WRITE && n_paths > 0);
	struct load load = {.deployment = deployment, .all = {.config = deployment->config}};
	pthread_mutex_init(&load.all.lock, NULL);
	struct customer_format *checked = NULL;
	format = format ? format : deployment->config->customer_format;
	int rc = customer_format_new(deployment->config, format, &checked, err);
	customer_format_free(rc == 0 ? checked : NULL);
	if (rc == 0)
		rc = swap_finish(deployment, err);
	if (rc == 0)
		rc = run_load(&load, paths, n_paths, format, err);
	if (rc == 0)
		rc = make_report(&load, paths, n_paths, out, err);
	release_load(&load);
	return rc;
}

void customers_report_release(struct customers_report *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < report->n_files; i++) {
		free(report->files[i].path);
		free(report->files[i].landed);
		free(report->files[i].format);
	}
	free(report->files);
	*report = (struct customers_report){0};
}
