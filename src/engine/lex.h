/*
 * SQL text in pieces, as DuckDB's (PostgreSQL's) scanner sees them: enough to find where statements and comments end.
 */
#ifndef PUNCHCARD_ENGINE_LEX_H
#define PUNCHCARD_ENGINE_LEX_H

#include "base/buf.h"

#include <stdbool.h>

enum sql_token {
	SQL_END,       /* nothing is left */
	SQL_BLANK,     /* a run of blanks, or one comment */
	SQL_SEMICOLON, /* one that ends a statement */
	SQL_WORD,      /* a run of letters, digits and _, that begins with no digit */
	SQL_OTHER,     /* a text in quotes of any kind, a number, a sign */
};

/* Takes the next piece off the front of *rest; *token is that piece. */
enum sql_token sql_next(struct slice *rest, struct slice *token);

/* Takes the next statement off the front of *rest (past its semicolon) and sets *statement to it, without blanks and
 * comments in front and without the semicolon. false when none is left. */
bool sql_next_statement(struct slice *rest, struct slice *statement);

#endif
