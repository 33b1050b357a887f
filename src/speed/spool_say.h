/*
 * What the spool source says of a file in the log: once what came of it, and each failure once.
 */
#ifndef PUNCHCARD_SPEED_SPOOL_SAY_H
#define PUNCHCARD_SPEED_SPOOL_SAY_H

#include "speed/intake.h"
#include "speed/spool_names.h"

/* Adds to what came of the file so far. */
void spool_look_count(struct spool_look *look, const struct intake_counts *counts);
/* It was read to its end; then nothing came of it so far. */
void spool_say_taken(const struct intake_file *file, struct spool_look *look);
/* INTAKE_FAILED or INTAKE_SKIPPED; nothing when this was said of it last. */
void spool_say_failed(const struct intake_file *file, struct spool_look *look);

#endif
