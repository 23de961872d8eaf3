# Halves the compile time of llama.cpp: `common` serves its own programs, pyrec calls `llama.h`
# alone. llama-cpp-python forces it on, so no -D turns it off. CMake reads this file right after
# `project("llama.cpp")`, where an ordinary variable goes before the forced one.
set(LLAMA_BUILD_COMMON OFF)
