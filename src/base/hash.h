/*
 * Hash of bytes for tables in memory: SipHash-1-3 under a key drawn when the process starts, so that a peer cannot
 * choose keys that collide. The numbers differ from run to run: none may leave the process.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

uint64_t hash_bytes(struct str bytes);

/* The same under a key of the caller's: equal in every process, for names of files. */
uint64_t hash_keyed(const uint64_t key[2], struct str bytes);
