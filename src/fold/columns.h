/*
 * Columns of tables as folds make them, for whoever writes them to a table of its own engine.
 */
#ifndef PUNCHCARD_FOLD_COLUMNS_H
#define PUNCHCARD_FOLD_COLUMNS_H

enum fold_type {
	FOLD_BIGINT,       /* int64_t */
	FOLD_INTEGER,      /* int32_t; of no table that a fold makes */
	FOLD_DATE,         /* days since 1970-01-01 */
	FOLD_TIMESTAMP,    /* UTC microseconds */
	FOLD_DECIMAL_18_2, /* hundredths */
	FOLD_DECIMAL_18_3, /* thousandths */
	FOLD_TEXT,         /* UTF-8 */
	FOLD_BYTES,
};

struct fold_column {
	const char *name;
	enum fold_type type;
};

#endif
