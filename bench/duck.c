/*
 * The other side of the benchmarks: plain DuckDB, the same library, in a process as bare as it can be.
 *
 *     bench_duck [SQL…]
 *
 * Runs each statement in one database in memory, with the engine's own settings (all cores, most of the memory), and prints
 * its milliseconds, a line each. Without a statement it only is a program that has loaded the library.
 */
#include <duckdb.h>

#include <stdio.h>
#include <time.h>

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int run_one(duckdb_connection connection, const char *sql)
{
	duckdb_result result;
	const double start_ms = now_ms();
	const duckdb_state state = duckdb_query(connection, sql, &result);
	if (state == DuckDBSuccess)
		printf("%.3f\n", now_ms() - start_ms);
	else
		fprintf(stderr, "bench_duck: %s\n  in: %s\n", duckdb_result_error(&result), sql);
	duckdb_destroy_result(&result);
	return state == DuckDBSuccess ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 0;
	duckdb_database database = NULL;
	duckdb_connection connection = NULL;
	if (duckdb_open(NULL, &database) != DuckDBSuccess || duckdb_connect(database, &connection) != DuckDBSuccess) {
		fputs("bench_duck: no database\n", stderr);
		return 1;
	}
	int failed = 0;
	for (int i = 1; i < argc && !failed; i++)
		failed = run_one(connection, argv[i]);
	duckdb_disconnect(&connection);
	duckdb_close(&database);
	return failed;
}
