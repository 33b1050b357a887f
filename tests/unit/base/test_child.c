/* Programs that are started for what they print. */
#include "base/child.h"
#include "base/file.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void read_to_end(int fd, char *out, size_t size)
{
	size_t len = 0;
	for (ssize_t n; (n = read(fd, out + len, size - 1 - len)) != 0;) {
		assert_true(n > 0 || errno == EINTR);
		len += n > 0 ? (size_t)n : 0;
	}
	out[len] = '\0';
}

typedef int start_fn(char *const *argv, char *const *envp, const char *dir, struct child *child, struct error *err);

static void check_output_and_status(start_fn *start)
{
	char *const argv[] = {"sh", "-c", "pwd; echo said >&2; read x || echo none; exit 3", NULL};
	struct child child = CHILD_NONE;
	struct error err = {0};
	char text[200];
	siginfo_t how;
	if (start(argv, NULL, "/tmp", &child, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(getpgid(child.pid), child.pid);
	read_to_end(child.out_fd, text, sizeof(text));
	assert_string_equal(text, "/tmp\nnone\n");
	read_to_end(child.err_fd, text, sizeof(text));
	assert_string_equal(text, "said\n");
	while (!child_has_ended(&child, &how))
		usleep(1000);
	assert_int_equal(how.si_status, 3);
	const int status = child_reap(&child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	assert_int_equal(child.pid, 0);
	child_close(&child);
	assert_int_equal(child.out_fd, -1);
}

static void test_output_and_status(void **state)
{
	(void)state;
	check_output_and_status(child_start);
	check_output_and_status(child_start_bound);
}

static void *start_and_end(void *argument)
{
	char *const argv[] = {"sleep", "1000", NULL};
	assert_int_equal(child_start_bound(argv, NULL, "/", argument, NULL), 0);
	return NULL;
}

static void test_bound_ends_with_its_starter(void **state)
{
	(void)state;
	struct child child = CHILD_NONE;
	pthread_t thread;
	siginfo_t how;
	assert_int_equal(pthread_create(&thread, NULL, start_and_end, &child), 0);
	pthread_join(thread, NULL);
	while (!child_has_ended(&child, &how))
		usleep(1000);
	assert_true(how.si_code == CLD_KILLED && how.si_status == SIGKILL);
	(void)child_reap(&child);
	child_close(&child);
}

/* With its environment, and with all that it has started. */
static void test_environment_and_group(void **state)
{
	(void)state;
	char *const argv[] = {"sh", "-c", "echo $A; sleep 1000 & echo $!; exec sleep 1000", NULL};
	char *const envp[] = {"A=b", "PATH=/usr/bin:/bin", NULL};
	struct child child = CHILD_NONE;
	char text[200] = "";
	siginfo_t how;
	int other = 0;
	assert_int_equal(child_start(argv, envp, "/", &child, NULL), 0);
	for (size_t len = 0; sscanf(text, "b\n%d\n", &other) != 1 || text[len - 1] != '\n';) {
		const ssize_t n = read(child.out_fd, text + len, sizeof(text) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
		text[len] = '\0';
	}
	assert_false(child_has_ended(&child, &how));
	const int status = child_reap(&child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* Nobody has its pipe any more. */
	read_to_end(child.out_fd, text, sizeof(text));
	child_close(&child);
}

static void test_what_cannot_be_started(void **state)
{
	(void)state;
	char *const argv[] = {"no-such-program-anywhere", NULL};
	struct child child = CHILD_NONE;
	struct error err = {0};
	assert_int_equal(child_start(argv, NULL, "/", &child, &err), ERROR_NOT_FOUND);
	assert_string_equal(err.message, "cannot start no-such-program-anywhere: No such file or directory");
	assert_int_equal(child.pid, 0);
	assert_int_equal(child.out_fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_and_status), cmocka_unit_test(test_bound_ends_with_its_starter),
		cmocka_unit_test(test_environment_and_group), cmocka_unit_test(test_bound_ends_with_its_starter),
		cmocka_unit_test(test_what_cannot_be_started)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
