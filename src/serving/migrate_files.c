/* Files into the warehouse, and whether they are there. */
#include "serving/migrate_internal.h"

#include "base/file.h"
#include "base/limits.h"
#include "batch/committed.h"
#include "engine/engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#define READ_BYTES (256u * 1024u)

/* Takes over both texts, which may be NULL: out of memory. */
static int add_file(struct migrate *migrate, char *local, char *remote, const struct migrate_file *like,
		    struct error *err)
{
	struct migrate_file *const files =
		local && remote ? realloc(migrate->files, (migrate->n_files + 1) * sizeof(*files)) : NULL;
	if (!files) {
		free(local);
		free(remote);
		return error_no_memory(err, LIMIT_PATH_BYTES);
	}
	migrate->files = files;
	migrate->files[migrate->n_files] = *like;
	migrate->files[migrate->n_files].local = local;
	migrate->files[migrate->n_files].remote = remote;
	migrate->n_files++;
	return 0;
}

/* Files of orders of one directory that count, named as if the edge had shipped them. */
static int list_orders(struct migrate *migrate, const char *dir, const char *remote_dir, bool is_table,
		       struct error *err)
{
	const char *const edge = migrate->to->config->cluster.edge;
	struct committed_listing listing = {0};
	int rc = committed_list(dir, migrate->next_block, &listing, err);
	for (size_t i = 0; rc == 0 && i < listing.n; i++) {
		const struct committed_name *const name = &listing.files[i].name;
		char text[COMMITTED_NAME_BYTES];
		if (listing.files[i].covered)
			continue;
		committed_format_name(name, text);
		const struct migrate_file like = {.last_block = is_table ? name->last : 0};
		rc = add_file(migrate, text_printf("%s/%s", dir, text),
			      text_printf("%s/orders-%s-%012" PRIu64 "-%012" PRIu64 ".parquet", remote_dir, edge,
					  name->first, name->last),
			      &like, err);
	}
	committed_listing_release(&listing);
	return rc;
}

/* All files of a tree, by their own names; `begin`: of names that begin so. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the tables' directories
static int list_tree(struct migrate *migrate, const char *dir, const char *remote_dir, const char *begin,
		     struct error *err)
{
	DIR *const entries = opendir(dir);
	const struct migrate_file like = {.customers = strcmp(remote_dir, "warehouse/customers_cln") == 0};
	if (!entries)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot list %s", dir);
	int rc = 0;
	const struct dirent *entry;
	while (rc == 0 && (errno = 0, entry = readdir(entries))) {
		struct stat st;
		if (strchr("._", entry->d_name[0]) || strncmp(entry->d_name, begin, strlen(begin)) != 0)
			continue;
		if (fstatat(dirfd(entries), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			rc = error_errno(err, errno, "cannot look at %s/%s", dir, entry->d_name);
			continue;
		}
		char *const local = text_printf("%s/%s", dir, entry->d_name);
		char *const remote = text_printf("%s/%s", remote_dir, entry->d_name);
		if (S_ISREG(st.st_mode)) {
			rc = add_file(migrate, local, remote, &like, err);
			continue;
		}
		rc = !local || !remote     ? error_no_memory(err, LIMIT_PATH_BYTES)
		     : S_ISDIR(st.st_mode) ? list_tree(migrate, local, remote, "", err)
					   : 0;
		free(local);
		free(remote);
	}
	if (rc == 0 && errno)
		rc = error_errno(err, errno, "cannot list %s", dir);
	closedir(entries);
	return rc;
}

static int list_partitions(struct migrate *migrate, struct error *err)
{
	_cleanup_free_ char *table = text_printf("%s/transactions_cln", migrate->from->warehouse_dir);
	DIR *const entries = table ? opendir(table) : NULL;
	if (!table)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (!entries)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot list %s", table);
	int rc = 0;
	const struct dirent *entry;
	while (rc == 0 && (errno = 0, entry = readdir(entries))) {
		if (strncmp(entry->d_name, "data_dt=", 8) != 0)
			continue;
		_cleanup_free_ char *dir = text_printf("%s/%s", table, entry->d_name);
		_cleanup_free_ char *remote = text_printf("warehouse/transactions_cln/%s", entry->d_name);
		rc = dir && remote ? list_orders(migrate, dir, remote, true, err)
				   : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	if (rc == 0 && errno)
		rc = error_errno(err, errno, "cannot list %s", table);
	closedir(entries);
	return rc;
}

int migrate_list_files(struct migrate *migrate, struct error *err)
{
	static const char *const TABLES[] = {"customers", "customers_cln", "ledger", "balances", "loyalty"};
	const struct deployment *const from = migrate->from;
	int rc = list_partitions(migrate, err);
	if (rc == 0)
		rc = list_orders(migrate, from->quarantine_dir, "quarantine", false, err);
	if (rc == 0)
		rc = list_tree(migrate, from->quarantine_dir, "quarantine", "customers-", err);
	for (size_t i = 0; rc == 0 && i < sizeof(TABLES) / sizeof(TABLES[0]); i++) {
		_cleanup_free_ char *dir = text_printf("%s/%s", from->warehouse_dir, TABLES[i]);
		_cleanup_free_ char *remote = text_printf("warehouse/%s", TABLES[i]);
		rc = dir && remote ? list_tree(migrate, dir, remote, "", err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	return rc;
}

void migrate_free_files(struct migrate *migrate)
{
	for (size_t i = 0; i < migrate->n_files; i++) {
		free(migrate->files[i].local);
		free(migrate->files[i].remote);
	}
	free(migrate->files);
}

int migrate_put_files(struct migrate *migrate, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < migrate->n_files; i++) {
		const struct migrate_file *const file = &migrate->files[i];
		rc = engine_check_interrupted(err);
		if (rc == 0)
			rc = warehouse_put_file(migrate->warehouse, file->remote, file->local, err);
	}
	return rc;
}

/* --- reading back ----------------------------------------------------------------------------------------------------------- */

struct content {
	XXH3_state_t *hash;
	uint64_t bytes;
};

static int add_bytes(void *context, const void *data, size_t len, struct error *err)
{
	struct content *const content = context;
	(void)err;
	XXH3_64bits_update(content->hash, data, len);
	content->bytes += len;
	return 0;
}

static int read_local(const char *path, struct content *content, struct error *err)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *const bytes = malloc(READ_BYTES);
	int rc = fd < 0  ? error_errno(err, errno, "cannot read %s", path)
		 : bytes ? 0
			 : error_no_memory(err, READ_BYTES);
	while (rc == 0) {
		const ssize_t n = read(fd, bytes, READ_BYTES);
		if (n == 0)
			break;
		rc = n < 0 ? error_errno(err, errno, "cannot read %s", path)
			   : add_bytes(content, bytes, (size_t)n, err);
	}
	free(bytes);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int check_file(struct migrate *migrate, const struct migrate_file *file, XXH3_state_t *hash, struct error *err)
{
	struct content here = {.hash = hash};
	struct content there = {.hash = hash};
	XXH3_64bits_reset(hash);
	int rc = read_local(file->local, &here, err);
	const uint64_t expected = XXH3_64bits_digest(hash);
	XXH3_64bits_reset(hash);
	if (rc == 0)
		rc = warehouse_read(migrate->warehouse, file->remote, 0, WAREHOUSE_TO_END, add_bytes, &there, err);
	if (rc < 0)
		return rc;
	if (here.bytes != there.bytes || XXH3_64bits_digest(hash) != expected)
		return error_set(
			err, ERROR_CORRUPT,
			"%s in the warehouse is not %s: something else was put there under its name; remove it, "
			"and migrate again",
			file->remote, file->local);
	migrate->report.files++;
	migrate->report.bytes += here.bytes;
	return 0;
}

int migrate_check_files(struct migrate *migrate, struct error *err)
{
	XXH3_state_t *const hash = XXH3_createState();
	int rc = hash ? 0 : error_no_memory(err, READ_BYTES);
	for (size_t i = 0; rc == 0 && i < migrate->n_files; i++) {
		rc = engine_check_interrupted(err);
		if (rc == 0)
			rc = check_file(migrate, &migrate->files[i], hash, err);
	}
	XXH3_freeState(hash);
	return rc;
}
