#include "store/env_internal.h"

#include "base/buf.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENVS 8
#define GIB      (UINT64_C(1) << 30)

/* The maps that a fault is explained for. Written by env_open and env_close only, read by the signal handler. */
static struct guard {
	MDB_env *env;
	const char *volatile map;
	size_t map_size;
	const char *remedy;
	char text[1024];
} guards[MAX_ENVS];

static struct sigaction old_bus;
static struct sigaction old_segv;

/* Only async-signal-safe calls from here on. */
static void die_damaged(const char *text)
{
	const ssize_t n = write(STDERR_FILENO, text, strlen(text));
	_exit(n < 0 ? 2 : 1);
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
	const char *const at = info->si_addr;
	for (unsigned i = 0; i < MAX_ENVS; i++)
		if (guards[i].map && at >= guards[i].map && at < guards[i].map + guards[i].map_size)
			die_damaged(guards[i].text);
	const struct sigaction *const old = signal_number == SIGBUS ? &old_bus : &old_segv;
	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(signal_number, info, context);
		return;
	}
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void on_assert(MDB_env *env, const char *message)
{
	(void)message;
	for (unsigned i = 0; i < MAX_ENVS; i++)
		if (guards[i].env == env)
			die_damaged(guards[i].text);
	abort();
}

/* LMDB does not tell where its map is; the kernel does. Not found: faults are then not explained. */
static void find_map(const char *file, const char *volatile *map, size_t *size)
{
	_cleanup_free_ char *real = realpath(file, NULL);
	FILE *const maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t room = 0;
	while (real && maps && getline(&line, &room, maps) > 0) {
		uintptr_t from;
		uintptr_t to;
		line[strcspn(line, "\n")] = '\0';
		const char *const path = strchr(line, '/');
		if (path && strcmp(path, real) == 0 && sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2) {
			*size = to - from;
			*map = (const char *)from; // NOLINT(performance-no-int-to-ptr): that is what the kernel prints
			break;
		}
	}
	free(line);
	if (maps)
		fclose(maps);
}

static void guard_set(MDB_env *env, const char *dir, const char *file, const struct env_options *options)
{
	static bool installed;
	if (!installed) {
		struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
		sigemptyset(&action.sa_mask);
		sigaction(SIGBUS, &action, &old_bus);
		sigaction(SIGSEGV, &action, &old_segv);
		installed = true;
	}
	mdb_env_set_assert(env, on_assert);
	for (unsigned i = 0; i < MAX_ENVS; i++) {
		if (guards[i].env)
			continue;
		snprintf(guards[i].text, sizeof(guards[i].text), "punchcard: the %s in %s is damaged; %s\n",
			 options->what, dir, options->remedy);
		guards[i].remedy = options->remedy;
		guards[i].env = env;
		find_map(file, &guards[i].map, &guards[i].map_size);
		return;
	}
}

static const char *remedy_of(const MDB_env *env)
{
	for (unsigned i = 0; i < MAX_ENVS; i++)
		if (env && guards[i].env == env)
			return guards[i].remedy;
	return "put it back from a backup";
}

int env_error(MDB_env *env, int rc, struct error *err, const char *doing)
{
	const char *dir = "?";
	if (env)
		mdb_env_get_path(env, &dir);
	switch (rc) {
	case MDB_NOTFOUND:
		return error_set(err, ERROR_NOT_FOUND, "cannot %s in %s: not there", doing, dir);
	case MDB_MAP_FULL:
		return error_set(err, ERROR_NO_SPACE,
				 "cannot %s: %s has grown to the size that punchcard.yaml allows (journal.map_gib, "
				 "view.map_gib); raise it and run again",
				 doing, dir);
	case MDB_PANIC:
		return error_set(
			err, ERROR_BROKEN,
			"cannot %s: a write to %s failed before; what is in it is whole, but it must be opened anew: "
			"start punchcard again",
			doing, dir);
	case MDB_MAP_RESIZED:
		return error_set(
			err, ERROR_CONFIG,
			"cannot %s: a process that was started with a larger map_gib (punchcard.yaml) has made "
			"%s grow; start this one anew",
			doing, dir);
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_BAD_TXN:
	case MDB_INCOMPATIBLE:
		return error_set(err, ERROR_CORRUPT, "cannot %s: %s is damaged (%s); %s", doing, dir, mdb_strerror(rc),
				 remedy_of(env));
	case MDB_READERS_FULL:
		return error_set(err, ERROR_LIMIT, "cannot %s: too many processes read %s; run it again later", doing,
				 dir);
	default:
		if (rc > 0)
			return error_errno(err, rc, "cannot %s in %s", doing, dir);
		return error_set(err, ERROR_IO, "cannot %s in %s: %s", doing, dir, mdb_strerror(rc));
	}
}

/* A file that is shorter than its last page faults when that page is read: see it now. */
static int check_length(MDB_env *env, const char *dir, const struct env_options *options, struct error *err)
{
	MDB_envinfo info;
	MDB_stat stat;
	mdb_env_info(env, &info);
	mdb_env_stat(env, &stat);
	int fd;
	struct stat st;
	if (mdb_env_get_fd(env, &fd) != 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot look at %s/data.mdb", dir);
	if (st.st_size > 0 && (uint64_t)st.st_size < ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize)
		return error_set(err, ERROR_CORRUPT, "the %s in %s is cut short (%lld bytes of %llu); %s",
				 options->what, dir, (long long)st.st_size,
				 (unsigned long long)((uint64_t)info.me_last_pgno + 1) * stat.ms_psize,
				 options->remedy);
	return 0;
}

/* A code of LMDB. After a failure nothing is left open. */
static int open_env(const char *path, const struct env_options *options, unsigned flags, MDB_env **out)
{
	MDB_env *env = NULL;
	int rc = mdb_env_create(&env);
	if (rc != 0)
		return rc;
	if ((rc = mdb_env_set_mapsize(env, (size_t)(options->map_gib * GIB))) != 0 ||
	    (rc = mdb_env_set_maxdbs(env, options->databases)) != 0 ||
	    (rc = mdb_env_open(env, path, flags, 0666)) != 0) {
		mdb_env_close(env);
		return rc;
	}
	*out = env;
	return 0;
}

static int open_error(int rc, const char *dir, const struct env_options *options, struct error *err)
{
	if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED)
		return error_set(err, ERROR_CORRUPT, "the %s in %s is damaged (%s); %s", options->what, dir,
				 mdb_strerror(rc), options->remedy);
	if (rc > 0)
		return error_errno(err, rc, "cannot open the %s in %s", options->what, dir);
	return error_set(err, ERROR_IO, "cannot open the %s in %s: %s", options->what, dir, mdb_strerror(rc));
}

/* Makes an empty environment under another name and renames it when it is whole and durable: one whose making was
 * interrupted, by a full disk say, could never be opened again. */
static int stage_file(const char *dir, const char *file, const struct env_options *options, struct error *err)
{
	_cleanup_free_ char *staged = text_printf("%s.tmp", file);
	_cleanup_free_ char *lock = text_printf("%s.tmp-lock", file);
	if (!staged || !lock)
		return error_no_memory(err, strlen(file));
	int rc = file_remove_tree(staged, err);
	if (rc < 0)
		return rc;
	MDB_env *env = NULL;
	const int code = open_env(staged, options, MDB_NOSUBDIR, &env);
	if (code != 0)
		return open_error(code, dir, options, err);
	mdb_env_close(env);
	rc = file_remove_tree(lock, err);
	if (rc == 0)
		rc = file_sync_path(staged, err);
	return rc < 0 ? rc : file_rename(staged, file, err);
}

/* One process at a time: another's file must not take the place of one that is written to already. */
static int make_file(const char *dir, const char *file, const struct env_options *options, struct error *err)
{
	const int rc = file_make_dirs(dir, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return error_errno(err, errno, "cannot lock %s", dir);
	return file_exists(file) ? 0 : stage_file(dir, file, options, err);
}

int env_open(const char *dir, const struct env_options *options, MDB_env **out, struct error *err)
{
	_cleanup_free_ char *file = text_printf("%s/data.mdb", dir);
	if (!file)
		return error_no_memory(err, strlen(dir));
	if (options->read_only && !file_exists(file))
		return error_set(err, ERROR_NOT_FOUND, "there is no %s in %s yet", options->what, dir);
	if (!file_exists(file)) {
		const int rc = make_file(dir, file, options, err);
		if (rc < 0)
			return rc;
	}
	const unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (options->read_only ? MDB_RDONLY : 0u);
	MDB_env *env = NULL;
	int rc = open_env(dir, options, flags, &env);
	if (rc == EACCES && options->read_only)
		return error_set(
			err, ERROR_IO,
			"cannot open the %s in %s: permission denied. Readers need to read data.mdb there, and to "
			"write lock.mdb, in which they register so that a writer leaves them what they read",
			options->what, dir);
	if (rc != 0)
		return open_error(rc, dir, options, err);
	rc = check_length(env, dir, options, err);
	if (rc < 0) {
		mdb_env_close(env);
		return rc;
	}
	if (!options->read_only) {
		/* A reader that was killed would pin its pages for as long as somebody has the file open. */
		int dead;
		mdb_reader_check(env, &dead);
	}
	guard_set(env, dir, file, options);
	*out = env;
	return 0;
}

void env_close(MDB_env *env)
{
	if (!env)
		return;
	for (unsigned i = 0; i < MAX_ENVS; i++)
		if (guards[i].env == env)
			guards[i] = (struct guard){0};
	mdb_env_close(env);
}
