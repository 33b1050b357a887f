/* The words in which the two schemas are written; for schema.c and programme_schema.c alone. */
#ifndef PUNCHCARD_CONFIG_SCHEMA_MACROS_INTERNAL_H
#define PUNCHCARD_CONFIG_SCHEMA_MACROS_INTERNAL_H

#include <cyaml/cyaml.h>

#define OPTIONAL                       CYAML_FLAG_OPTIONAL
#define REQUIRED                       CYAML_FLAG_DEFAULT

#define TEXT(key, flags, type, member) CYAML_FIELD_STRING_PTR(key, flags, type, member, 0, CYAML_UNLIMITED)
#define LIST(key, flags, type, member, count, entry, min, max) \
	CYAML_FIELD_SEQUENCE_COUNT(key, (flags) | CYAML_FLAG_POINTER, type, member, count, entry, min, max)
/* A mapping in the file whose keys are plain members of the struct around it in memory: a mapping at offset 0 of that. */
#define SECTION(name, type, fields)                                                                       \
	{                                                                                                 \
		.key = (name), .data_offset = 0, .value = { CYAML_VALUE_MAPPING(OPTIONAL, type, fields) } \
	}

#endif
