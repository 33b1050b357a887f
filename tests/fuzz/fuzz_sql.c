/*
 * SQL text from any bytes, in pieces: they are the whole text, one behind the other, and statements come out of it in order, each
 * once.
 */
#include "engine/lex.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *const text = (const char *)data;
	struct slice rest = {text, size};
	struct slice piece;
	const char *at = text;
	unsigned n_semicolons = 0;
	for (enum sql_token token; (token = sql_next(&rest, &piece)) != SQL_END;) {
		require(piece.len > 0 && piece.data == at && rest.data == at + piece.len);
		require(token != SQL_SEMICOLON || (piece.len == 1 && *piece.data == ';'));
		n_semicolons += token == SQL_SEMICOLON;
		at += piece.len;
	}
	require(at == text + size && rest.len == 0);
	rest = (struct slice){text, size};
	unsigned n_statements = 0;
	const char *behind = text;
	while (sql_next_statement(&rest, &piece)) {
		require(piece.len > 0 && piece.data >= behind && piece.data + piece.len <= rest.data);
		behind = rest.data;
		n_statements++;
	}
	require(n_statements <= n_semicolons + 1);
	return 0;
}
