#include "batch/states.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The days of the table, descending; the caller frees *days. */
static int list_days(const char *table, int32_t **days, size_t *n, struct error *err)
{
	struct dirent **entries = NULL;
	const int count = scandir(table, &entries, NULL, alphasort);
	if (count < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot list %s", table);
	int32_t *const found = calloc(count > 0 ? (size_t)count : 1, sizeof(*found));
	size_t n_found = 0;
	for (int i = count; i-- > 0;) {
		const char *const name = entries[i]->d_name;
		int32_t day;
		if (found && strncmp(name, "data_dt=", 8) == 0 && civil_parse(name + 8, strlen(name + 8), &day) == 0)
			found[n_found++] = day;
		free(entries[i]);
	}
	free(entries);
	if (!found)
		return error_no_memory(err, sizeof(*found));
	*days = found;
	*n = n_found;
	return 0;
}

static char *partition(const char *table, int32_t day)
{
	char date[11];
	civil_format(day, date);
	return text_printf("%s/data_dt=%s", table, date);
}

bool states_parse_name(const char *name, struct state_name *out)
{
	char programme[PROGRAMME_HASH_TEXT];
	unsigned long long offset;
	if (sscanf(name, STATES_PREFIX "%16[0-9a-f]-%12llu-", programme, &offset) != 2)
		return false;
	memcpy(out->programme, programme, sizeof(programme));
	out->offset = offset;
	return true;
}

/* One day's file, if it is there. */
static int read_day(const char *dir, const char *programme, struct states_found *out, bool *is_other, struct error *err)
{
	DIR *const open_dir = opendir(dir);
	if (!open_dir)
		return error_errno(err, errno, "cannot list %s", dir);
	const struct dirent *entry;
	int rc = 0;
	while (rc == 0 && (errno = 0, entry = readdir(open_dir))) {
		struct state_name name;
		if (!states_parse_name(entry->d_name, &name))
			continue;
		*is_other = strcmp(name.programme, programme) != 0;
		out->offset = name.offset;
		free(out->path);
		out->path = text_printf("%s/%s", dir, entry->d_name);
		rc = out->path ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	if (rc == 0 && errno)
		rc = error_errno(err, errno, "cannot list %s", dir);
	closedir(open_dir);
	return rc;
}

static void forget_day(struct states_found *found)
{
	free(found->path);
	found->path = NULL;
}

static int look_at_day(const char *table, const char *programme, int32_t day, int32_t until, uint64_t offset,
		       struct states_found *found, struct error *err)
{
	_cleanup_free_ char *dir = partition(table, day);
	bool is_other = false;
	const int rc = dir ? read_day(dir, programme, found, &is_other, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	const bool whole = rc == 0 && found->path && found->offset <= offset;
	found->other = found->other || (whole && is_other);
	if (whole && !is_other && !found->any) {
		found->any = true;
		found->newest_day = day;
		found->newest_offset = found->offset;
	}
	found->found = whole && !is_other && day < until;
	found->day = day;
	if (!found->found)
		forget_day(found);
	return rc;
}

int states_find(const struct deployment *deployment, int32_t day, uint64_t offset, struct states_found *out,
		struct error *err)
{
	_cleanup_free_ char *table = text_printf("%s/account_state", deployment->warehouse_dir);
	_cleanup_free_ int32_t *days = NULL;
	size_t n = 0;
	int rc = table ? list_days(table, &days, &n, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	struct states_found found = {0};
	for (size_t i = 0; rc == 0 && !found.found && i < n; i++)
		rc = look_at_day(table, deployment->programme->hash_text, days[i], day, offset, &found, err);
	if (rc < 0)
		states_release(&found);
	else
		*out = found;
	return rc;
}

void states_release(struct states_found *found)
{
	forget_day(found);
	*found = (struct states_found){0};
}

int states_newest_day(const struct deployment *deployment, int32_t *day, struct error *err)
{
	static const char *const TABLES[] = {"account_state", "balances", "loyalty"};
	int32_t newest = DAY_MIN;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(TABLES) / sizeof(TABLES[0]); i++) {
		_cleanup_free_ char *table = text_printf("%s/%s", deployment->warehouse_dir, TABLES[i]);
		_cleanup_free_ int32_t *days = NULL;
		size_t n = 0;
		rc = table ? list_days(table, &days, &n, err) : error_no_memory(err, LIMIT_PATH_BYTES);
		if (rc == 0 && n && days[0] > newest)
			newest = days[0];
	}
	if (rc == 0)
		*day = newest;
	return rc;
}

int states_prune(const struct deployment *deployment, int32_t day, struct error *err)
{
	_cleanup_free_ char *table = text_printf("%s/account_state", deployment->warehouse_dir);
	_cleanup_free_ int32_t *days = NULL;
	size_t n = 0;
	int rc = table ? list_days(table, &days, &n, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	for (size_t i = STATES_KEPT; rc == 0 && i < n; i++) {
		_cleanup_free_ char *dir = partition(table, days[i]);
		if (!dir)
			rc = error_no_memory(err, LIMIT_PATH_BYTES);
		else if (days[i] != day)
			rc = file_remove_tree(dir, err);
	}
	return rc;
}
