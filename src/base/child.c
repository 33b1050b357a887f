#include "base/child.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NO_PROGRAM 127

static int set_up(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, const char *dir, int out, int err)
{
	sigset_t none;
	sigset_t all;
	sigemptyset(&none);
	sigfillset(&all);
	int rc = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, err, STDERR_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_addchdir_np(actions, dir);
	if (rc == 0)
		rc = posix_spawnattr_setflags(attributes,
					      POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (rc == 0)
		rc = posix_spawnattr_setpgroup(attributes, 0);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(attributes, &none);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(attributes, &all);
	return rc;
}

/* 0 or errno. */
static int spawn(char *const *argv, char *const *envp, const char *dir, int out, int err, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	int rc = set_up(&actions, &attributes, dir, out, err);
	if (rc == 0)
		rc = posix_spawnp(pid, argv[0], &actions, &attributes, argv, envp ? envp : environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* ---- bound to the thread that starts it ---- */

/* In the child of a process that may have threads: system calls alone. */
static void become(char *const *argv, char *const *envp, const char *dir, int out, int err, pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0 ||
	    chdir(dir) < 0 || setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return;
	/* It may have ended before that held. */
	if (getppid() != parent) {
		errno = ESRCH;
		return;
	}
	if (sigprocmask(SIG_SETMASK, &none, NULL) == 0)
		execvpe(argv[0], argv, envp ? envp : environ);
}

/* As spawn(): what keeps it from beginning comes back by a pipe, which closes when it has begun. */
static int spawn_bound(char *const *argv, char *const *envp, const char *dir, int out, int err, pid_t *pid)
{
	int failed[2];
	int errnum = 0;
	const pid_t parent = getpid();
	if (pipe2(failed, O_CLOEXEC) < 0)
		return errno;
	*pid = fork();
	if (*pid == 0) {
		become(argv, envp, dir, out, err, parent);
		errnum = errno;
		_exit(write(failed[1], &errnum, sizeof(errnum)) < 0 ? 1 : EXIT_NO_PROGRAM);
	}
	if (*pid < 0)
		errnum = errno;
	close(failed[1]);
	ssize_t n;
	while (*pid > 0 && (n = read(failed[0], &errnum, sizeof(errnum))) < 0 && errno == EINTR)
		;
	close(failed[0]);
	if (*pid > 0 && errnum)
		while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
			;
	return errnum;
}

/* In the group of the child, until that is killed: ends the group when the other end of its stdin closes, which only this process has. */
static void start_guard(struct child *child)
{
	char *const argv[] = {"sh", "-c", "trap '' TERM; read -r nothing; kill -KILL 0", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int life[2];
	sigemptyset(&none);
	if (pipe2(life, O_CLOEXEC) < 0)
		return;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	int rc = posix_spawn_file_actions_adddup2(&actions, life[0], STDIN_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (rc == 0)
		rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	if (rc == 0)
		rc = posix_spawnattr_setpgroup(&attributes, child->pid);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(&attributes, &none);
	if (rc == 0)
		rc = posix_spawn(&child->guard, "/bin/sh", &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	close(life[0]);
	/* Without one, the program alone is bound. */
	if (rc != 0) {
		close(life[1]);
		child->guard = 0;
		return;
	}
	child->guard_fd = life[1];
}

typedef int spawn_fn(char *const *argv, char *const *envp, const char *dir, int out, int err, pid_t *pid);

static int start(spawn_fn *how, char *const *argv, char *const *envp, const char *dir, struct child *child,
		 struct error *err)
{
	int out[2] = {-1, -1};
	int said[2] = {-1, -1};
	int errnum = pipe2(out, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0 ? errno : 0;
	const bool piped = errnum == 0;
	pid_t pid = 0;
	if (piped)
		errnum = how(argv, envp, dir, out[1], said[1], &pid);
	cleanup_close(&out[1]);
	cleanup_close(&said[1]);
	if (errnum == 0) {
		*child = (struct child){.pid = pid, .out_fd = out[0], .err_fd = said[0], .guard_fd = -1};
		return 0;
	}
	cleanup_close(&out[0]);
	cleanup_close(&said[0]);
	return error_errno(err, errnum, "cannot %s %s", piped ? "start" : "make pipes for", argv[0]);
}

int child_start(char *const *argv, char *const *envp, const char *dir, struct child *child, struct error *err)
{
	return start(spawn, argv, envp, dir, child, err);
}

int child_start_bound(char *const *argv, char *const *envp, const char *dir, struct child *child, struct error *err)
{
	const int rc = start(spawn_bound, argv, envp, dir, child, err);
	if (rc == 0)
		start_guard(child);
	return rc;
}

bool child_has_ended(const struct child *child, siginfo_t *how)
{
	*how = (siginfo_t){0};
	return waitid(P_PID, (id_t)child->pid, how, WEXITED | WNOHANG | WNOWAIT) == 0 && how->si_pid == child->pid;
}

static void close_fd(int *fd)
{
	cleanup_close(fd);
	*fd = -1;
}

int child_reap(struct child *child)
{
	int status = 0;
	kill(-child->pid, SIGKILL);
	while (child->guard && waitpid(child->guard, NULL, 0) < 0 && errno == EINTR)
		;
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
	child->guard = 0;
	close_fd(&child->guard_fd);
	return status;
}

void child_close(struct child *child)
{
	close_fd(&child->out_fd);
	close_fd(&child->err_fd);
}
