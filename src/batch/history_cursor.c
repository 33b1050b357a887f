/* A statement's rows, of which the first column is the customer. */
#include "batch/history_internal.h"

int history_open_engine(const struct deployment *deployment, const struct history_options *options,
			const struct id_list *customers, uint32_t memory_mib, uint32_t threads, struct engine **out,
			struct error *err)
{
	const struct engine_options engine_options = {
		.memory_mib = memory_mib,
		.threads = threads,
		.tmp_dir = options->tmp_dir ? options->tmp_dir : deployment->tmp_dir,
	};
	int rc = engine_open(&engine_options, out, err);
	if (rc == 0 && options->customers)
		rc = id_list_register(customers, "history_customers", *out, err);
	return rc;
}

void history_cursor_close(struct history_cursor *cursor)
{
	engine_scan_close(cursor->scan);
	engine_close(cursor->engine);
	buf_release(&cursor->sql);
	*cursor = (struct history_cursor){0};
}

int history_cursor_settle(struct history_cursor *cursor, struct error *err)
{
	if (cursor->ended || cursor->at < cursor->rows)
		return 0;
	cursor->at = 0;
	cursor->rows = 0;
	int rc = 0;
	if (!cursor->scan) {
		rc = engine_scan_open(cursor->engine, cursor->sql.data, &cursor->scan, err);
		if (rc == 0)
			rc = id_list_check_scan(cursor->scan, cursor->id_type, err);
	}
	if (rc == 0)
		rc = engine_scan_next(cursor->scan, &cursor->rows, err);
	cursor->ended = rc == 0 && cursor->rows == 0;
	return rc;
}

struct customer_id history_cursor_id(const struct history_cursor *cursor)
{
	struct customer_id id = {0};
	if (cursor->id_type == CUSTOMER_ID_INTEGER)
		id.number = ((const int64_t *)engine_scan_values(cursor->scan, 0))[cursor->at];
	else
		id.text = engine_scan_text(cursor->scan, 0, cursor->at);
	return id;
}
