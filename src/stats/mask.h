/*
 * Keeps passwords out of what people read: the user:password part of every URL in a text becomes "***:***".
 */
#pragma once

#include "base/buf.h"

/* Appends `text`, masked. Errors show in out->failed. */
void mask_secrets(struct buf *out, struct str text) PRIVATE_API(mask_secrets);
