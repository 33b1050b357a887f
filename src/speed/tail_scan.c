#include "speed/tail_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

struct entry {
	char *name;
	bool matches;
	bool known; /* a text has it, or it is none of ours */
};

struct entries {
	struct entry *items;
	size_t n;
	size_t cap;
};

static void release(struct entries *entries)
{
	for (size_t i = 0; i < entries->n; i++)
		free(entries->items[i].name);
	free(entries->items);
}

static int keep(struct entries *entries, const char *name, bool matches, struct error *err)
{
	if (entries->n == entries->cap) {
		const size_t cap = entries->cap ? entries->cap * 2 : 64;
		struct entry *const more = realloc(entries->items, cap * sizeof(*more));
		if (!more)
			return error_no_memory(err, cap * sizeof(*more));
		entries->items = more;
		entries->cap = cap;
	}
	char *const copy = strdup(name);
	if (!copy)
		return error_no_memory(err, strlen(name));
	entries->items[entries->n++] = (struct entry){.name = copy, .matches = matches};
	return 0;
}

static bool is_of_text(const struct tail *tail, const struct dirent *entry)
{
	for (size_t i = 0; i < tail->n_texts; i++) {
		const struct text *const text = tail->texts[i];
		if (text->ino == entry->d_ino ||
		    (!text->complete && strncmp(entry->d_name, text->own_name, strlen(text->own_name)) == 0))
			return true;
	}
	return false;
}

static int compare_names(const void *a, const void *b)
{
	const struct entry *const x = a;
	const struct entry *const y = b;
	return strcmp(x->name, y->name);
}

/* Lists what matches, and what may be a text of ours under another name. 1: not all of it could be read. */
static int list(struct tail *tail, DIR *dir, struct entries *entries, struct error *err)
{
	const struct dirent *entry;
	int rc = 0;
	errno = 0;
	while (rc == 0 && (entry = readdir(dir))) { // NOLINT(concurrency-mt-unsafe): a stream of its own
		const bool matches = fnmatch(tail->pattern, entry->d_name, FNM_PERIOD) == 0;
		if (matches || is_of_text(tail, entry))
			rc = keep(entries, entry->d_name, matches, err);
		errno = 0;
	}
	if (rc == 0 && errno)
		return 1;
	if (entries->n)
		qsort(entries->items, entries->n, sizeof(*entries->items), compare_names);
	return rc;
}

static void say_unreadable(struct tail *tail, const char *name, int errnum)
{
	struct error fault = {0};
	error_errno(&fault, errnum, "cannot open it");
	tail_say_unreadable(tail, name, &fault);
}

static bool is_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static int set_name(struct text *text, const char *name, struct error *err)
{
	if (text->name && strcmp(text->name, name) == 0)
		return 0;
	char *const copy = strdup(name);
	if (!copy)
		return error_no_memory(err, strlen(name));
	free(text->name);
	text->name = copy;
	return 0;
}

static struct text *text_of_file(const struct tail *tail, const struct stat *st)
{
	for (size_t i = tail->n_texts; i-- > 0;)
		if (tail->texts[i]->ino == st->st_ino && tail->texts[i]->dev == st->st_dev)
			return tail->texts[i];
	return NULL;
}

static bool needs_open(const struct text *text, const struct stat *st)
{
	return text->fd < 0 && text->state == TEXT_KNOWN &&
	       !(text->verified && text->complete && is_time(text->changed, st->st_ctim));
}

/* The file of a text that is not open: is it still its text? *lost: no. */
static int reopen(struct tail *tail, struct text *text, const char *name, bool *lost, struct error *err)
{
	struct stat st;
	const int fd = tail_open_file(tail, name, true, &st);
	*lost = false;
	if (fd < 0) {
		if (errno != ENOENT)
			say_unreadable(tail, name, errno);
		return 0;
	}
	if (st.st_ino != text->ino || st.st_dev != text->dev) {
		close(fd); /* replaced this moment */
		tail->must_scan = true;
		return 0;
	}
	*lost = !tail_has_text(text, fd, &st);
	if (*lost) {
		close(fd);
		tail_lose_file(text);
		return 0;
	}
	return tail_attach(tail, text, fd, &st, err);
}

/* Finds the text whose file this is, if there is one. */
static int recognize(struct tail *tail, struct entry *entry, struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s/%s", tail->dir, entry->name);
	if (!path)
		return error_no_memory(err, strlen(entry->name));
	struct stat st;
	entry->known = true;
	if ((entry->matches ? stat(path, &st) : lstat(path, &st)) < 0) {
		if (errno != ENOENT)
			say_unreadable(tail, entry->name, errno);
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return 0;
	struct text *const text = text_of_file(tail, &st);
	if (!text) {
		entry->known = false;
		return 0;
	}
	/* A file that has two names that match goes by the one that it had. */
	if (text->seen && strcmp(entry->name, text->own_name) != 0)
		return 0;
	if (text->state == TEXT_IGNORED && !is_time(text->changed, st.st_ctim)) {
		entry->known = false;
		return 0;
	}
	int rc = set_name(text, entry->name, err);
	bool lost = false;
	if (rc == 0 && needs_open(text, &st))
		rc = reopen(tail, text, entry->name, &lost, err);
	entry->known = !lost;
	text->seen = !lost;
	return rc;
}

static int meet(struct tail *tail, const char *name, struct error *err)
{
	struct stat st;
	const int fd = tail_open_file(tail, name, true, &st);
	if (fd < 0) {
		if (errno != ENOENT)
			say_unreadable(tail, name, errno);
		return 0;
	}
	struct text *const other = text_of_file(tail, &st);
	if (other) { /* another name of a file that was met this moment */
		close(fd);
		return 0;
	}
	struct text *const text = tail_add_text(tail, name, err);
	if (!text) {
		close(fd);
		return ERROR_NO_MEMORY;
	}
	text->seen = true;
	return tail_attach(tail, text, fd, &st, err);
}

/* What is no longer in the directory has been moved away or removed; what is open is read to its end all the same. */
static void note_names(struct tail *tail)
{
	for (size_t i = tail->n_texts; i-- > 0;) {
		struct text *const text = tail->texts[i];
		if (!text->seen) {
			free(text->name);
			text->name = NULL;
			if (text->state == TEXT_IGNORED) {
				tail_drop_text(tail, text);
				continue;
			}
			if (text->fd < 0 && text->ino)
				tail_lose_file(text);
		}
		if (!tail_is_rotated(text))
			text->rotated_us = 0;
		else if (!text->rotated_us)
			text->rotated_us = clock_now_us();
	}
}

static void forget_ignored(struct tail *tail, const struct entries *entries)
{
	for (size_t i = 0; i < entries->n; i++)
		for (size_t k = tail->n_texts; !entries->items[i].known && k-- > 0;)
			if (tail->texts[k]->state == TEXT_IGNORED && tail->texts[k]->name &&
			    strcmp(tail->texts[k]->name, entries->items[i].name) == 0)
				tail_drop_text(tail, tail->texts[k]);
}

static int look_at(struct tail *tail, const struct entries *entries, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; i < tail->n_texts; i++)
		tail->texts[i]->seen = false;
	for (size_t i = 0; rc == 0 && i < entries->n; i++)
		rc = recognize(tail, &entries->items[i], err);
	if (rc < 0)
		return rc;
	forget_ignored(tail, entries);
	note_names(tail);
	for (size_t i = 0; rc == 0 && i < entries->n; i++)
		if (!entries->items[i].known && entries->items[i].matches)
			rc = meet(tail, entries->items[i].name, err);
	for (size_t i = 0; rc == 0 && i < tail->n_texts; i++) {
		bool gone = false;
		struct text *const text = tail->texts[i];
		if (text->state == TEXT_UNDECIDED && text->fd >= 0)
			rc = tail_decide(tail, text, &gone, err);
		i -= gone;
	}
	for (size_t i = 0; rc == 0 && i < entries->n; i++)
		if (!entries->items[i].known && !entries->items[i].matches)
			rc = tail_find_rest(tail, entries->items[i].name, err);
	return rc;
}

static void watch_dir(struct tail *tail, const struct stat *st)
{
	if (tail->inotify_fd < 0 || (tail->dir_wd >= 0 && tail->dir_ino == st->st_ino))
		return;
	if (tail->dir_wd >= 0)
		inotify_rm_watch(tail->inotify_fd, tail->dir_wd);
	tail->dir_wd = inotify_add_watch(tail->inotify_fd, tail->dir,
					 IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF |
						 IN_MOVE_SELF | IN_ONLYDIR);
	tail->dir_ino = st->st_ino;
}

int tail_scan(struct tail *tail, struct error *err)
{
	const int64_t begun_us = clock_now_us();
	tail->must_scan = tail->must_try_again = false;
	tail->scanned_us = begun_us;
	struct stat st;
	/* The watch before the list: nothing comes in between. */
	const bool there = stat(tail->dir, &st) == 0;
	if (there)
		watch_dir(tail, &st);
	DIR *const dir = there ? opendir(tail->dir) : NULL;
	if (!dir) {
		if (!tail->dir_missing)
			LOG_WARNING("a directory cannot be listed; this goes on when it can be",
				    log_text("source", tail->source->config->name), log_text("directory", tail->dir),
				    log_text("error", strerror(errno))); // NOLINT(concurrency-mt-unsafe): glibc's is
		tail->dir_missing = true;
		tail->dir_changed = (struct timespec){0};
		return 0;
	}
	tail->dir_missing = false;
	tail->dir_changed = st.st_mtim;
	struct entries entries = {0};
	int rc = list(tail, dir, &entries, err);
	closedir(dir);
	if (rc == 0)
		rc = look_at(tail, &entries, err);
	/* What was not listed is not gone. */
	if (rc > 0) {
		tail->must_try_again = true;
		rc = 0;
	}
	release(&entries);
	tail->scan_took_us = clock_now_us() - begun_us;
	return rc;
}
