#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/programme_show.h"
#include "cli/show.h"
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] programme check [--json] [FILE]\n"
	"       punchcard programme new [NAME [FILE]]\n"
	"\n"
	"check says in words what a programme means: its ledgers, what earns and when, promotions, tiers, rewards, and "
	"the\n"
	"hash that names it in the ledger. It warns of what is legal, but odd, such as days on which no version of a "
	"rule\n"
	"holds. What is wrong is refused with its line, its key, and what was expected there. Nothing is changed.\n"
	"\n"
	"  FILE     the programme (default: programme.yaml of the deployment)\n"
	"  --json   as one JSON object, with the warnings in it\n"
	"\n"
	"new writes a worked example to start from, with comments; without NAME it lists them.\n"
	"\n"
	"  NAME     which one\n"
	"  FILE     where to (default: standard output); a file that is there is never overwritten\n"
	"\n"
	"exit codes: 0 done, or the programme is right (with warnings or without); 1 a file could not be read or "
	"written, or is\n"
	"there already; 2 the programme is wrong, or the command line\n";

enum { OPTION_JSON = 256 };

static const struct option OPTIONS[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{NULL, 0, NULL, 0},
};

/*
 * check
 */

/* Texts, each with its NUL. */
struct warnings {
	struct buf texts;
	bool failed;
};

static void add_warning(void *context, const char *text)
{
	struct warnings *const warnings = context;
	warnings->failed = warnings->failed || buf_append(&warnings->texts, text, strlen(text) + 1) < 0;
}

static const char *next_warning(const struct warnings *warnings, const char *before)
{
	const char *const next = before ? before + strlen(before) + 1 : warnings->texts.data;
	return warnings->texts.len && next < warnings->texts.data + warnings->texts.len ? next : NULL;
}

static int print_json(const char *path, const struct programme *programme, const struct warnings *warnings)
{
	struct json out;
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "file");
	json_text(&out, path);
	programme_json(programme, &out);
	json_key(&out, "warnings");
	json_array(&out);
	for (const char *text = next_warning(warnings, NULL); text; text = next_warning(warnings, text))
		json_text(&out, text);
	json_end_array(&out);
	json_end_object(&out);
	json_newline(&out);
	struct error err = {0};
	return json_finish(&out, &err) < 0 ? cli_fail(&err) : EXIT_OK;
}

static void print_words(const struct programme *programme, const struct warnings *warnings)
{
	programme_print(programme);
	const char *text = next_warning(warnings, NULL);
	puts(text ? "\nwarnings" : "\nNothing is wrong, and nothing odd.");
	for (; text; text = next_warning(warnings, text)) {
		fputs("  ", stdout);
		show_text(stdout, slice_of(text));
		putchar('\n');
	}
}

static int check_file(const char *path, bool as_json)
{
	struct error err = {0};
	struct programme *programme = NULL;
	struct warnings warnings = {0};
	int rc = programme_check(path, add_warning, &warnings, &programme, &err);
	if (rc == 0 && warnings.failed)
		rc = error_no_memory(&err, warnings.texts.len);
	int code = EXIT_OK;
	if (rc < 0)
		code = cli_fail(&err);
	else if (as_json)
		code = print_json(path, programme, &warnings);
	else
		print_words(programme, &warnings);
	buf_release(&warnings.texts);
	programme_free(programme);
	return code;
}

static int run_check(const struct cli *cli, const char *file, bool as_json)
{
	struct error err = {0};
	if (file)
		return check_file(file, as_json);
	_cleanup_free_ char *path =
		strcmp(cli->dir, ".") == 0 ? strdup("programme.yaml") : text_printf("%s/programme.yaml", cli->dir);
	if (!path)
		error_no_memory(&err, strlen(cli->dir));
	else if (!file_exists(path))
		error_set(&err, ERROR_NOT_FOUND,
			  "there is no %s; name the file to be checked, or a deployment with -C DIR", path);
	return err.code ? cli_fail(&err) : check_file(path, as_json);
}

/*
 * new
 */

static void list_examples(FILE *to)
{
	struct programme_example example;
	for (unsigned i = 0; programme_example(i, &example); i++)
		fprintf(to, "  %-16.*s  %.*s\n", (int)example.name.len, example.name.data, (int)example.summary.len,
			example.summary.data);
}

static bool find_example(const char *name, struct programme_example *out)
{
	for (unsigned i = 0; programme_example(i, out); i++)
		if (slice_is(out->name, name))
			return true;
	return false;
}

static int fill_file(int fd, const char *path, struct slice text, struct error *err)
{
	int rc = file_write_all(fd, text.data, text.len, path, err);
	if (rc == 0)
		rc = file_sync(fd, path, err);
	_cleanup_free_ char *copy = rc == 0 ? strdup(path) : NULL;
	if (rc == 0 && !copy)
		rc = error_no_memory(err, strlen(path));
	return rc == 0 ? file_sync_dir(dirname(copy), err) : rc;
}

/* Makes the file, durably. Whoever made it first keeps it. */
static int write_new_file(const char *path, struct slice text, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return error_set(err, ERROR_EXISTS, "%s is there already; nothing was changed", path);
	if (fd < 0)
		return error_errno(err, errno, "cannot make %s", path);
	const int rc = fill_file(fd, path, text, err);
	if (rc < 0)
		unlink(path);
	return rc;
}

static int run_new(const char *name, const char *file)
{
	struct programme_example example;
	if (!name) {
		puts("worked programmes to start from:");
		list_examples(stdout);
		puts("\n`punchcard programme new NAME FILE` writes one.");
		return EXIT_OK;
	}
	if (!find_example(name, &example)) {
		fprintf(stderr, "punchcard programme: there is no example of the name '");
		show_text(stderr, slice_of(name));
		fputs("'; there are\n", stderr);
		list_examples(stderr);
		return EXIT_USAGE;
	}
	if (!file) {
		fwrite(example.text.data, 1, example.text.len, stdout);
		return EXIT_OK;
	}
	struct error err = {0};
	if (write_new_file(file, example.text, &err) < 0)
		return cli_fail(&err);
	fputs("Wrote ", stdout);
	show_text(stdout, slice_of(file));
	puts(". Change it to what the shop does; `punchcard programme check` says in words what it means.");
	return EXIT_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	bool as_json = false;
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
		if (option != OPTION_JSON)
			return cli_usage_error("programme", "unknown option '%s'", argv[optind - 1]);
		as_json = true;
	}
	const char *const what = optind < argc ? argv[optind++] : NULL;
	const char *const first = optind < argc ? argv[optind++] : NULL;
	const char *const second = optind < argc ? argv[optind++] : NULL;
	if (!what)
		return cli_usage_error("programme", "say what to do: check or new");
	const bool is_check = strcmp(what, "check") == 0;
	if (!is_check && strcmp(what, "new") != 0)
		return cli_usage_error("programme", "'%s' is neither check nor new", what);
	if (!is_check && as_json)
		return cli_usage_error("programme", "--json goes with check");
	if (is_check && second)
		return cli_usage_error("programme", "'%s' is one argument too many", second);
	if (optind < argc)
		return cli_usage_error("programme", "'%s' is one argument too many", argv[optind]);
	if ((first && !*first) || (second && !*second))
		return cli_usage_error("programme", "a name is empty");
	return is_check ? run_check(cli, first, as_json) : run_new(first, second);
}

const struct command command_programme = {
	.name = "programme",
	.summary = "check what the programme says; start from an example",
	.usage = USAGE,
	.run = run,
};
