# Files as bytes in a library, so that the binary needs no data files beside it.
#
#   punchcard_embed(<target> <base> <file>…)
#
# adds a generated C file to <target> that defines EMBEDDED_FILES (src/config/embedded_internal.h); each file goes by its
# path below <base>. It is made again when a file changes.

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  # The second half: cmake -DBASE=… -DOUT=… -DFILES=a,b -P Embed.cmake
  string(REPLACE "," ";" files "${FILES}")
  set(arrays "")
  set(rows "")
  set(n 0)
  foreach(file IN LISTS files)
    file(READ "${BASE}/${file}" hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
    # The NUL behind the content makes an empty file an array too.
    string(APPEND arrays "static const unsigned char FILE_${n}[] = {\n${bytes}0};\n")
    string(APPEND rows "\t{\"${file}\", FILE_${n}, sizeof(FILE_${n}) - 1},\n")
    math(EXPR n "${n} + 1")
  endforeach()
  file(WRITE "${OUT}" "/* Made by cmake/Embed.cmake. */\n#include \"config/embedded_internal.h\"\n\n${arrays}\nconst struct embedded_file EMBEDDED_FILES[] = {\n${rows}\t{NULL, NULL, 0},\n};\n")
  return()
endif()

set(PUNCHCARD_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")

function(punchcard_embed target base)
  set(out "${CMAKE_CURRENT_BINARY_DIR}/${target}_embedded.c")
  list(TRANSFORM ARGN PREPEND "${base}/" OUTPUT_VARIABLE paths)
  list(JOIN ARGN "," names)
  add_custom_command(
    OUTPUT "${out}"
    COMMAND "${CMAKE_COMMAND}" "-DBASE=${base}" "-DOUT=${out}" "-DFILES=${names}" -P "${PUNCHCARD_EMBED_SCRIPT}"
    DEPENDS ${paths} "${PUNCHCARD_EMBED_SCRIPT}"
    COMMENT "Embedding ${names}"
    VERBATIM)
  target_sources(${target} PRIVATE "${out}")
endfunction()
