/*
 * Runs a fuzz target over the files of its corpus, each once and from a heap block of exactly its size, so that ASan sees a
 * read past the end. For compilers without libFuzzer, and for the ordinary tests.
 *
 *     fuzz_csv tests/fuzz/corpus/csv        every file of the directory; it must have some
 *     fuzz_csv crash-1234                   one file
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* True when the file was read and the target came back. */
static bool replay_file(const char *path)
{
	FILE *in = fopen(path, "rbe");
	struct stat st;
	if (!in || fstat(fileno(in), &st) != 0) {
		perror(path);
		if (in)
			fclose(in);
		return false;
	}
	const size_t size = (size_t)st.st_size;
	uint8_t *const data = malloc(size ? size : 1);
	const bool whole = data && fread(data, 1, size, in) == size;
	fclose(in);
	if (whole)
		LLVMFuzzerTestOneInput(data, size);
	else
		fprintf(stderr, "%s: cannot be read\n", path);
	free(data);
	return whole;
}

static int is_plain_name(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* How many files of the directory were replayed; -1 when one could not be. */
static int replay_dir(const char *dir)
{
	struct dirent **entries = NULL;
	const int n = scandir(dir, &entries, is_plain_name, alphasort);
	bool good = n >= 0;
	for (int i = 0; i < n; i++) {
		char path[4096];
		const int len = snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		good = good && len > 0 && (size_t)len < sizeof(path) && replay_file(path);
		free(entries[i]);
	}
	free(entries);
	return good ? n : -1;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s CORPUS_DIR|FILE…\n", argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) != 0) {
			perror(argv[i]);
			return 1;
		}
		const int n = S_ISDIR(st.st_mode) ? replay_dir(argv[i]) : (replay_file(argv[i]) ? 1 : -1);
		if (n <= 0) {
			fprintf(stderr, "%s: %s\n", argv[i], n == 0 ? "the corpus is empty" : "failed");
			return 1;
		}
		printf("%s: %d inputs replayed\n", argv[i], n);
	}
	return 0;
}
