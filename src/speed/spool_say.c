#include "speed/spool_say.h"

#include "base/log.h"

void spool_look_count(struct spool_look *look, const struct intake_counts *counts)
{
	look->lines += counts->lines;
	look->taken += intake_taken(counts);
	look->duplicates += counts->duplicates;
	look->quarantined += counts->quarantined;
}

void spool_say_taken(const struct intake_file *file, struct spool_look *look)
{
	if (file->outcome == INTAKE_REUSED)
		LOG_WARNING("another file had this name, so its lines are quarantined",
			    log_text("source", file->source), log_text("file", file->name),
			    log_uint("lines", look->lines), log_uint("quarantined", look->quarantined));
	else if (file->message)
		LOG_INFO("file taken", log_text("source", file->source), log_text("file", file->name),
			 log_uint("lines", look->lines), log_uint("taken", look->taken),
			 log_uint("duplicates", look->duplicates), log_uint("quarantined", look->quarantined),
			 log_text("remark", file->message));
	else if (file->outcome == INTAKE_TAKEN || look->lines) /* or: the rest of it was had */
		LOG_INFO("file taken", log_text("source", file->source), log_text("file", file->name),
			 log_uint("lines", look->lines), log_uint("taken", look->taken),
			 log_uint("duplicates", look->duplicates), log_uint("quarantined", look->quarantined));
	else
		LOG_INFO("file had already", log_text("source", file->source), log_text("file", file->name));
	look->lines = look->taken = look->duplicates = look->quarantined = 0;
}

void spool_say_failed(const struct intake_file *file, struct spool_look *look)
{
	const uint64_t said = spool_name_hash(file->message);
	if (said == look->said)
		return;
	look->said = said;
	if (file->outcome == INTAKE_SKIPPED)
		LOG_WARNING("file skipped", log_text("source", file->source), log_text("file", file->name),
			    log_text("error", file->message));
	else
		LOG_WARNING("file failed", log_text("source", file->source), log_text("file", file->name),
			    log_text("error", file->message));
}
