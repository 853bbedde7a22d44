/*
 * How symbols leave libmite. Everything is hidden but what is marked here: MITE_API for the public functions of
 * include/mite/, PRIVATE_API for what the Python plugin needs of the core. The second kind keeps its C name in our
 * sources and is called `mite__NAME` in the symbol table, so that a stranger's `buf_append` never meets ours.
 */
#pragma once

#define MITE_API          __attribute__((visibility("default")))
#define PRIVATE_API(name) __asm__("mite__" #name) __attribute__((visibility("default")))
