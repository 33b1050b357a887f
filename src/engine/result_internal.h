#ifndef PUNCHCARD_ENGINE_RESULT_INTERNAL_H
#define PUNCHCARD_ENGINE_RESULT_INTERNAL_H

#include "engine/engine_internal.h"

/* From gate_check: the statement does not parse, so that nothing is known of it. */
#define GATE_SYNTAX_ERROR 1

/* Whether a statement may run: 0, GATE_SYNTAX_ERROR, ERROR_USAGE with what is not run, or an error. */
int gate_check(struct engine *engine, struct slice statement, struct error *err);

#endif
