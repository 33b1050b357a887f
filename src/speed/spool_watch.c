#include "speed/spool_watch.h"

#include "base/log.h"
#include "speed/intake.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* So many events are told before the caller gets its turn. */
#define DRAIN_READS 16u
#define READ_BYTES  ((size_t)64 * 1024)

#define WATCHED                                                                                              \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_MODIFY | IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

struct dir {
	char *name; /* "": the source's own */
	int wd;     /* -1: not watched */
	bool failed;
	uint64_t seen; /* the listing in which it was there */
};

struct spool_watch {
	const struct config_source *source;
	const struct deployment *deployment;
	struct spool_watch_hooks hooks;
	char *path;
	int fd;
	bool unwatched; /* that is said already */
	bool missed;
	uint64_t listing;
	void *by_name; /* trees of <search.h> */
	void *by_wd;
	char **todo; /* names of directories */
	size_t n_todo;
	size_t todo_room;
	/* The last name that was moved away. */
	char *moved_from;
	uint32_t moved_cookie;
	_Alignas(struct inotify_event) char events[READ_BYTES];
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct dir *)a)->name, ((const struct dir *)b)->name);
}

static int compare_wds(const void *a, const void *b)
{
	const int x = ((const struct dir *)a)->wd;
	const int y = ((const struct dir *)b)->wd;
	return (x > y) - (x < y);
}

int spool_watch_open(const struct deployment *deployment, const struct config_source *source,
		     const struct spool_watch_hooks *hooks, struct spool_watch **out, struct error *err)
{
	struct spool_watch *const watch = calloc(1, sizeof(*watch));
	char *const path = deployment_path(deployment, source->dir);
	if (!watch || !path) {
		free(watch);
		free(path);
		return error_no_memory(err, sizeof(*watch));
	}
	watch->deployment = deployment;
	watch->source = source;
	watch->hooks = *hooks;
	watch->path = path;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd < 0) {
		struct error fault = {0};
		error_errno(&fault, errno, "cannot be told of changes, so the directory is listed every %u seconds",
			    (unsigned)source->scan_s);
		LOG_WARNING("files are found late", log_text("source", source->name), log_error(&fault));
	}
	*out = watch;
	return 0;
}

/* The directories. */

static struct dir *find_dir(const struct spool_watch *watch, const char *name)
{
	const struct dir key = {.name = (char *)(uintptr_t)name};
	void *const node = tfind(&key, &watch->by_name, compare_names);
	return node ? *(struct dir **)node : NULL;
}

static struct dir *find_wd(const struct spool_watch *watch, int wd)
{
	const struct dir key = {.wd = wd};
	void *const node = tfind(&key, &watch->by_wd, compare_wds);
	return node ? *(struct dir **)node : NULL;
}

static struct dir *add_dir(struct spool_watch *watch, const char *name)
{
	struct dir *const there = find_dir(watch, name);
	if (there)
		return there;
	struct dir *const dir = calloc(1, sizeof(*dir));
	if (!dir)
		return NULL;
	dir->wd = -1;
	dir->name = strdup(name);
	if (!dir->name || !tsearch(dir, &watch->by_name, compare_names)) {
		free(dir->name);
		free(dir);
		return NULL;
	}
	return dir;
}

static void unwatch(struct spool_watch *watch, struct dir *dir, bool remove)
{
	if (dir->wd < 0)
		return;
	tdelete(dir, &watch->by_wd, compare_wds);
	if (remove)
		inotify_rm_watch(watch->fd, dir->wd);
	dir->wd = -1;
}

static void remove_dir(struct spool_watch *watch, struct dir *dir)
{
	unwatch(watch, dir, true);
	tdelete(dir, &watch->by_name, compare_names);
	free(dir->name);
	free(dir);
}

static void watch_dir(struct spool_watch *watch, struct dir *dir, const char *path)
{
	if (watch->fd < 0)
		return;
	/* The source's own may be a link. */
	const int wd = inotify_add_watch(watch->fd, path, WATCHED | (*dir->name ? IN_DONT_FOLLOW : 0u));
	if (wd < 0) {
		const int errnum = errno;
		unwatch(watch, dir, true);
		if (errnum == ENOENT || errnum == ENOTDIR || errnum == EACCES || watch->unwatched)
			return; /* listing it says so, too */
		struct error fault = {0};
		error_errno(&fault, errnum,
			    "cannot be told of changes in %s, so it is listed every %u seconds; the limit is "
			    "fs.inotify.max_user_watches",
			    path, (unsigned)watch->source->scan_s);
		LOG_WARNING("files are found late", log_text("source", watch->source->name), log_error(&fault));
		watch->unwatched = true;
		return;
	}
	if (wd == dir->wd)
		return;
	unwatch(watch, dir, true);
	struct dir *const other = find_wd(watch, wd);
	if (other)
		unwatch(watch, other, false); /* it was moved: that was its name */
	dir->wd = wd;
	if (!tsearch(dir, &watch->by_wd, compare_wds))
		dir->wd = -1;
}

static void add_todo(struct spool_watch *watch, const char *name)
{
	if (watch->n_todo == watch->todo_room) {
		const size_t room = watch->todo_room ? watch->todo_room * 2 : 16;
		char **const more = realloc(watch->todo, room * sizeof(char *));
		if (!more) {
			watch->missed = true;
			return;
		}
		watch->todo = more;
		watch->todo_room = room;
	}
	char *const copy = strdup(name);
	if (copy)
		watch->todo[watch->n_todo++] = copy;
	else
		watch->missed = true;
}

static char *name_in(const char *dir, const char *own)
{
	return text_printf("%s%s%s", dir, *dir ? "/" : "", own);
}

static bool is_dir(int dir_fd, const struct dirent *entry)
{
	struct stat st;
	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static void tell_entry(struct spool_watch *watch, const struct dir *dir, int dir_fd, const struct dirent *entry)
{
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return;
	_cleanup_free_ char *name = name_in(dir->name, entry->d_name);
	if (!name) {
		watch->missed = true;
		return;
	}
	if (!watch->source->recursive || !is_dir(dir_fd, entry))
		watch->hooks.listed(watch->hooks.context, name, dir_fd, entry->d_name);
	else if (!intake_ignores_dir(watch->deployment, watch->source, name))
		add_todo(watch, name);
}

static void say_unlisted(const struct spool_watch *watch, struct dir *dir, const char *path, int errnum)
{
	if (*dir->name && (errnum == ENOENT || errnum == ENOTDIR))
		return; /* taken away since the one above was listed */
	struct error fault = {0};
	error_errno(&fault, errnum, "cannot list %s; it is tried again", path);
	if (!dir->failed)
		LOG_ERROR("cannot list a directory", log_text("source", watch->source->name), log_error(&fault));
	dir->failed = true;
}

static bool list_dir(struct spool_watch *watch, const char *name)
{
	struct dir *const dir = add_dir(watch, name);
	_cleanup_free_ char *path = text_printf("%s%s%s", watch->path, *name ? "/" : "", name);
	if (!dir || !path) {
		watch->missed = true;
		return false;
	}
	dir->seen = watch->listing;
	watch_dir(watch, dir, path);
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (*name ? O_NOFOLLOW : 0));
	DIR *const stream = fd >= 0 ? fdopendir(fd) : NULL;
	if (!stream) {
		const int why = errno;
		const bool lasting = *name && (why == EACCES || why == ENOENT || why == ENOTDIR || why == ELOOP);
		say_unlisted(watch, dir, path, why);
		if (fd >= 0)
			close(fd);
		return lasting;
	}
	if (dir->failed)
		LOG_INFO("the directory can be listed again", log_text("source", watch->source->name),
			 log_text("dir", path));
	dir->failed = false;
	const struct dirent *entry;
	errno = 0;
	for (unsigned n = 1; (entry = readdir(stream)); n++) { // NOLINT(concurrency-mt-unsafe): a stream of its own
		tell_entry(watch, dir, fd, entry);
		if (n % 1024 == 0 && watch->hooks.stop(watch->hooks.context))
			break;
		errno = 0;
	}
	const int errnum = entry ? 0 : errno;
	if (errnum)
		say_unlisted(watch, dir, path, errnum);
	closedir(stream);
	return errnum == 0;
}

/* The directory and all below it. False: not all, but may be soon. */
static bool list_tree(struct spool_watch *watch, const char *name)
{
	bool listed = list_dir(watch, name);
	while (watch->n_todo) {
		_cleanup_free_ char *next = watch->todo[--watch->n_todo];
		if (!watch->hooks.stop(watch->hooks.context))
			listed = list_dir(watch, next) && listed;
	}
	return listed;
}

/* <search.h> hands no context to who walks. */
static _Thread_local struct {
	uint64_t listing;
	size_t n;
	struct dir *dirs[256];
} gone;

static void find_gone(const void *node, VISIT which, int depth)
{
	(void)depth;
	if (which != postorder && which != leaf)
		return;
	struct dir *const dir = *(struct dir *const *)node;
	if (dir->seen != gone.listing && gone.n < sizeof(gone.dirs) / sizeof(gone.dirs[0]))
		gone.dirs[gone.n++] = dir;
}

/* Directories that were not there in this listing. */
static void forget_gone(struct spool_watch *watch)
{
	do {
		gone.listing = watch->listing;
		gone.n = 0;
		twalk(watch->by_name, find_gone);
		for (size_t i = 0; i < gone.n; i++)
			remove_dir(watch, gone.dirs[i]);
	} while (gone.n);
}

bool spool_watch_list(struct spool_watch *watch)
{
	watch->missed = false;
	watch->listing++;
	const bool listed = list_tree(watch, "");
	if (!watch->hooks.stop(watch->hooks.context))
		forget_gone(watch);
	return listed;
}

int spool_watch_fd(const struct spool_watch *watch)
{
	return watch->fd;
}

/* What happened. */

static void on_dir(struct spool_watch *watch, const struct inotify_event *event, const char *name)
{
	if (watch->source->recursive && (event->mask & (IN_CREATE | IN_MOVED_TO)) &&
	    !intake_ignores_dir(watch->deployment, watch->source, name))
		list_tree(watch, name);
}

static void on_file(struct spool_watch *watch, const struct inotify_event *event, const char *name)
{
	static const struct {
		uint32_t bit;
		enum spool_event event;
	} EVENTS[] = {
		{IN_MOVED_TO, SPOOL_EVENT_MOVED}, {IN_CLOSE_WRITE, SPOOL_EVENT_CLOSED},
		{IN_MODIFY, SPOOL_EVENT_WRITTEN}, {IN_CREATE, SPOOL_EVENT_MADE},
		{IN_ATTRIB, SPOOL_EVENT_CHANGED},
	};
	if (event->mask & IN_MOVED_FROM) {
		free(watch->moved_from);
		watch->moved_from = strdup(name);
		watch->moved_cookie = event->cookie;
		return;
	}
	if ((event->mask & IN_MOVED_TO) && watch->moved_from && watch->moved_cookie == event->cookie)
		watch->hooks.renamed(watch->hooks.context, watch->moved_from, name);
	for (size_t i = 0; i < sizeof(EVENTS) / sizeof(EVENTS[0]); i++)
		if (event->mask & EVENTS[i].bit)
			watch->hooks.event(watch->hooks.context, name, EVENTS[i].event);
}

static void on_event(struct spool_watch *watch, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW) {
		watch->missed = true;
		return;
	}
	struct dir *const dir = find_wd(watch, event->wd);
	if (!dir)
		return; /* not watched any more */
	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
		watch->missed = watch->missed || !*dir->name || (event->mask & IN_MOVE_SELF);
		unwatch(watch, dir, !(event->mask & IN_IGNORED));
		return;
	}
	if (!event->len)
		return; /* of the directory itself */
	_cleanup_free_ char *name = name_in(dir->name, event->name);
	if (!name)
		watch->missed = true;
	else if (event->mask & IN_ISDIR)
		on_dir(watch, event, name);
	else
		on_file(watch, event, name);
}

bool spool_watch_drain(struct spool_watch *watch)
{
	for (unsigned i = 0; watch->fd >= 0 && i < DRAIN_READS; i++) {
		const ssize_t n = read(watch->fd, watch->events, sizeof(watch->events));
		if (n <= 0)
			break;
		for (const char *at = watch->events; at < watch->events + n;) {
			const struct inotify_event *const event = (const void *)at;
			on_event(watch, event);
			at += sizeof(*event) + event->len;
		}
	}
	const bool missed = watch->missed;
	watch->missed = false;
	return missed;
}

static void free_dir(void *dir)
{
	free(((struct dir *)dir)->name);
	free(dir);
}

static void free_nothing(void *dir)
{
	(void)dir;
}

void spool_watch_close(struct spool_watch *watch)
{
	if (!watch)
		return;
	tdestroy(watch->by_wd, free_nothing);
	tdestroy(watch->by_name, free_dir);
	while (watch->n_todo)
		free(watch->todo[--watch->n_todo]);
	free(watch->todo);
	free(watch->moved_from);
	free(watch->path);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}
